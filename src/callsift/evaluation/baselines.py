"""What a simple method reaches on the same calls by their words: TF-IDF and a linear model.

Grades: logistic regression, one for each task. Numbers: ridge regression. Counts of words and pairs of words are
dampened (1 + log tf) and weighted by inverse document frequency (Salton & Buckley 1988). scikit-learn is in the extra
`train`, and is imported where it is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callsift.errors import DataError, UsageError
from callsift.labels import LabelScheme
from callsift.text.normalise import normalise_text
from callsift.text.tokens import word_tokenizer
from callsift.types import Label


@cache
def _splitter() -> Any:
    return word_tokenizer().pre_tokenizer


def words(text: str) -> list[str]:
    """Words, marks and single Chinese characters, as the tiny encoder splits them."""
    return [word for word, _ in _splitter().pre_tokenize_str(normalise_text(text))]


def tfidf_predictions(
    train_texts: Sequence[str], train_classes: NDArray[np.int64], texts: Sequence[str], *, plain: bool = False
) -> NDArray[np.int64]:
    """Classes (calls,) of `texts` by words and pairs of words that occur twice, their counts dampened.

    `plain`: scikit-learn's defaults instead, single words only; weaker, and for Chinese of no use.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    require_sklearn()
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    grams = TfidfVectorizer() if plain else TfidfVectorizer(analyzer=_grams, min_df=2, sublinear_tf=True)
    model = make_pipeline(grams, LogisticRegression(max_iter=2000))
    model.fit(list(train_texts), train_classes)
    return np.asarray(model.predict(list(texts)), dtype=np.int64)


def tfidf_answers(
    train: Sequence[tuple[str, Label]], asked: Sequence[str], scheme: LabelScheme
) -> list[dict[str, str | float]]:
    """What the baseline, fitted on texts with their labels, says of each of the `asked` texts: task → class, or number.

    A label that leaves a task open is not learned from for that task, and a task that all labels leave open has no
    answer; of a task in which all labels are alike, their class is the answer. Texts without a word are not learned
    from. The order of `train` makes no difference.

    Raises:
        DataError: nothing can be learned: no words, or all labels alike.
        UsageError: scikit-learn is not installed.
    """
    require_sklearn()
    known = sorted(((text, label) for text, label in train if words(text)), key=lambda pair: (pair[0], str(pair[1])))
    if not known:
        raise DataError(f"none of {len(train)} training texts has a word to learn from")
    if len({label for _, label in known}) < 2:
        raise DataError(f"all {len(known)} training texts have one label, so there is nothing to learn")
    features, wanted = _features([text for text, _ in known], asked)
    if scheme.kind == "number":
        return _numbers(features, wanted, [label for _, label in known], scheme)
    answers: list[dict[str, str | float]] = [{} for _ in asked]
    for task in scheme.tasks:
        classes = [scheme.class_of(task, label) for _, label in known]
        rows = [at for at, name in enumerate(classes) if name is not None]
        names = [str(classes[at]) for at in rows]
        for answer, name in zip(answers, _classes(features[rows], names, wanted), strict=bool(names)):
            answer[task] = name
    return answers


def _features(train: Sequence[str], asked: Sequence[str]) -> tuple[Any, Any]:
    """Sparse TF-IDF rows of both; of what occurs in two training texts, or, where nothing does, in one."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    often = Counter(gram for text in train for gram in set(_grams(text)))
    least = 2 if max(often.values()) > 1 else 1
    grams = TfidfVectorizer(analyzer=_grams, min_df=least, sublinear_tf=True)
    return grams.fit_transform(list(train)), grams.transform(list(asked))


def _classes(features: Any, names: list[str], asked: Any) -> list[str]:
    from sklearn.linear_model import LogisticRegression

    if len(set(names)) < 2:
        return names[:1] * int(asked.shape[0])
    model = LogisticRegression(max_iter=2000).fit(features, list(names))
    return [str(name) for name in model.predict(asked)]


def _numbers(features: Any, asked: Any, labels: Sequence[Label], scheme: LabelScheme) -> list[dict[str, str | float]]:
    from sklearn.linear_model import Ridge

    assert scheme.range is not None
    model = Ridge(alpha=1.0).fit(features, [scheme.number(label) for label in labels])
    return [{scheme.finest_task: float(value)} for value in np.clip(model.predict(asked), *scheme.range)]


def _grams(text: str) -> list[str]:
    found = words(text)
    return found + [f"{one} {other}" for one, other in pairwise(found)]


def require_sklearn() -> None:
    """Raises UsageError unless scikit-learn is installed."""
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise UsageError(
            'the TF-IDF baseline needs scikit-learn, which is not installed: pip install "callsift[train]"'
        ) from error
