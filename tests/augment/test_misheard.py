"""English: usual words that sound alike, as written where they stand; names, numbers and other languages stay."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pocketsphinx
import pytest

from callsift.augment.misheard import misheard_as, misheard_places
from callsift.augment.places import redrawn


def _all_changed(*texts: str) -> tuple[str, ...]:
    return redrawn(misheard_places(texts), 1.0, np.random.default_rng(0))


def _kept(text: str) -> set[str]:
    """Chunks of a text in which nothing can change."""
    (found,) = misheard_places([text])
    return {
        chunk[0]
        for chunk in re.finditer(r"\S+", text)
        if not any(chunk.start() <= place.start < chunk.end() for place in found.places)
    }


def _sounds() -> dict[str, list[list[str]]]:
    sounds: dict[str, list[list[str]]] = {}
    path = Path(pocketsphinx.get_model_path()) / "en-us/cmudict-en-us.dict"
    for line in path.read_text("utf-8").splitlines():
        word, *said = line.split()
        sounds.setdefault(word.partition("(")[0], []).append(said)
    return sounds


def _distance(one: list[str], other: list[str]) -> int:
    row = list(range(len(other) + 1))
    for i, sound in enumerate(one, 1):
        above, row = row, [i]
        for j, heard in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (sound != heard)))
    return row[-1]


@pytest.mark.parametrize(
    ("word", "same"),
    [("there", "their"), ("right", "write"), ("no", "know"), ("four", "for"), ("your", "you're"), ("buy", "by")],
)
def test_a_word_of_the_same_sounds_is_the_likeliest(word: str, same: str) -> None:
    others, bounds = misheard_as(word)
    shares = dict(zip(others, np.diff([0.0, *bounds]), strict=True))
    assert max(shares, key=lambda other: shares[other]) == same


def test_every_other_is_at_most_one_sound_away_and_another_word() -> None:
    sounds = _sounds()
    words = ["the", "a", "and", "to", "you", "i", "it", "that", "know", "call", "price", "want", "pay", "don't", "buy"]
    for word in words:
        others, bounds = misheard_as(word)
        assert word not in others
        assert list(bounds) == sorted(bounds)
        for other in others:
            assert min(_distance(one, two) for one in sounds[word] for two in sounds[other]) <= 1, (word, other)
        assert others


@pytest.mark.parametrize("word", ["zydeco", "abelard", "xyzzy", ""])
def test_rare_and_unknown_words_stay(word: str) -> None:
    assert misheard_as(word) == ((), ())


def test_rare_words_and_letters_are_not_put_in() -> None:
    # All sound exactly so in the dictionary
    assert "thee" not in misheard_as("the")[0]
    assert "u" not in misheard_as("you")[0]
    assert "b" not in misheard_as("be")[0]


def test_capitals_marks_and_spaces_are_kept() -> None:
    text = "Right,  you know: I can't pay (four) more. There\tare two!"
    (changed,) = _all_changed(text)
    assert [c for c in changed if not c.isalpha() and c != "'"] == [c for c in text if not c.isalpha() and c != "'"]
    old, new = text.split(), changed.split()
    assert [word[0].isupper() for word in old if word != "I"] == [
        word[0].isupper() for at, word in enumerate(new) if old[at] != "I"
    ]
    assert all(one != other for one, other in zip(old, new, strict=True))


def test_texts_in_one_case_stay_in_it() -> None:
    assert _all_changed("there you are and i know it")[0].islower()
    assert _all_changed("THERE YOU ARE AND I KNOW IT")[0].isupper()


def test_the_written_apostrophe_is_kept() -> None:
    for seed in range(5):
        (text,) = redrawn(misheard_places(["it’s what you’re there for"]), 1.0, np.random.default_rng(seed))
        assert "'" not in text


def test_i_is_small_only_where_all_is() -> None:
    texts = {redrawn(misheard_places(["Well, my eye is here"]), 1.0, np.random.default_rng(n))[0] for n in range(9)}
    assert any(" I " in text for text in texts)
    assert not any(" i " in text for text in texts)


def test_names_numbers_addresses_placeholders_and_abbreviations_stay() -> None:
    assert _kept("so I told Will that he owes 120 dollars") >= {"Will", "120"}
    assert "Will" in _kept("Will is here. I know that Will can pay")
    text = "mail me at two.for@right.com or see www.there.com the [NUMBER] is 4th, right, OK and no USA"
    kept = _kept(text)
    assert {"two.for@right.com", "www.there.com", "[NUMBER]", "4th,", "OK", "USA"} <= kept
    assert {"me", "or", "see", "no", "right,"}.isdisjoint(kept)


@pytest.mark.parametrize(
    "text",
    [
        "Ich habe das nicht gesehen, aber es war ein guter Tag und wir sind alle hier.",
        "No lo sé, pero me gusta mucho la casa de mi hermano",
        "Je ne sais pas si tu as vu le film que nous avons",
        "To jest dobry dzień, a ja nie wiem co on ma do mnie",
        "io non ho mai visto una cosa come me",
        "это очень хорошо",
        "12 34",
        "",
    ],
)
def test_other_languages_and_no_language_stay(text: str) -> None:
    assert _all_changed(text) == (text,)
