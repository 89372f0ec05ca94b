"""The baseline by words: what it answers, and when it has no answer."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest

from callsift.errors import DataError
from callsift.evaluation.baselines import tfidf_answers, tfidf_predictions, words
from callsift.labels import LabelScheme, load_scheme
from callsift.types import Label

SCHEME = load_scheme("marketcalls")
KEEN = [f"yes please send me the offer today {at}" for at in range(6)]
COLD = [f"no thanks do not call again {at}" for at in range(6)]
KNOWN: list[tuple[str, Label]] = [*((text, "A") for text in KEEN), *((text, "E") for text in COLD)]


def test_words_of_both_languages() -> None:
    assert words("Yes, 我要!") == ["yes", ",", "我", "要", "!"]


def test_every_task_gets_its_class() -> None:
    keen, cold = tfidf_answers(KNOWN, ["please send the offer", "do not call"], SCHEME)
    assert keen == {"five": "A", "four": "A", "three": "A", "two": "ABC"}
    assert cold == {"five": "E", "four": "DE", "three": "DE", "two": "DE"}


def test_the_order_of_the_training_makes_no_difference() -> None:
    asked = ["send no offer", "yes do call", "thanks", ""]
    shuffled = list(KNOWN)
    random.Random(1).shuffle(shuffled)
    assert tfidf_answers(shuffled, asked, SCHEME) == tfidf_answers(KNOWN, asked, SCHEME)


def test_it_agrees_with_the_predictions_of_classes() -> None:
    """The same model as `tfidf_predictions`, which fits one task given as numbers."""
    asked = ["send no offer", "yes do call", "thanks for the offer", "never"]
    texts, classes = [text for text, _ in KNOWN], np.array([0 if label == "A" else 1 for _, label in KNOWN])
    found = ["ABC" if each == 0 else "DE" for each in tfidf_predictions(texts, classes, asked)]
    assert [answer["two"] for answer in tfidf_answers(KNOWN, asked, SCHEME)] == found


def test_coarse_labels_teach_the_tasks_that_they_settle() -> None:
    coarse: list[tuple[str, Label]] = [(t, ("A", "B", "C")) for t in KEEN] + [(t, ("D", "E")) for t in COLD]
    keen, cold = tfidf_answers(coarse, ["please send the offer", "do not call"], SCHEME)
    assert (keen["two"], cold["two"]) == ("ABC", "DE")
    assert "five" not in keen
    assert keen["four"] == cold["four"] == "DE"  # the only class of that task that any label settles


def test_numbers_stay_in_their_range() -> None:
    scheme = LabelScheme(id="mood", kind="number", range=(-3.0, 3.0))
    known: list[tuple[str, Label]] = [(text, 3.0) for text in KEEN] + [(text, -3.0) for text in COLD]
    keen, cold = tfidf_answers(known, ["please send the offer please", "do not call again"], scheme)
    assert -3.0 <= float(cold["value"]) < -1.0 < 1.0 < float(keen["value"]) <= 3.0


def test_words_that_occur_once_are_better_than_none() -> None:
    found = tfidf_answers([("good", "A"), ("bad", "E")], ["good", "bad"], SCHEME)
    assert [answer["five"] for answer in found] == ["A", "E"]


@pytest.mark.parametrize(
    ("known", "why"),
    [
        ([], "none of 0 training texts has a word"),
        ([("", "A"), ("  ", "E")], "none of 2 training texts has a word"),
        ([("yes", "A"), ("no", "A")], "all 2 training texts have one label"),
    ],
)
def test_nothing_to_learn(known: list[tuple[str, Label]], why: str) -> None:
    with pytest.raises(DataError, match=why):
        tfidf_answers(known, ["yes"], SCHEME)


def test_without_scikit_learn_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "from callsift.errors import UsageError\n"
        "from callsift.evaluation.baselines import tfidf_answers\n"
        "from callsift.labels import load_scheme\n"
        "try: tfidf_answers([('a', 'A'), ('b', 'E')], ['a'], load_scheme('marketcalls'))\n"
        "except UsageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'needs scikit-learn, which is not installed: pip install "callsift[train]"' in done.stdout
