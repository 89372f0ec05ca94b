"""TF-IDF + logistic regression: what a simple method reaches on the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from callsift.text.normalise import normalise_text
from callsift.text.tokens import word_tokenizer

_SPLITTER = word_tokenizer().pre_tokenizer


def words(text: str) -> list[str]:
    """Words, marks and single Chinese characters, as the tiny encoder splits them."""
    return [word for word, _ in _SPLITTER.pre_tokenize_str(normalise_text(text))]


def tfidf_predictions(
    train_texts: Sequence[str], train_classes: NDArray[np.int64], texts: Sequence[str], *, plain: bool = False
) -> NDArray[np.int64]:
    """Classes (calls,) of `texts` by words and pairs of words that occur twice, their counts dampened.

    `plain`: scikit-learn's defaults instead, single words only; weaker, and for Chinese of no use.
    """
    grams = TfidfVectorizer() if plain else TfidfVectorizer(analyzer=_grams, min_df=2, sublinear_tf=True)
    model = make_pipeline(grams, LogisticRegression(max_iter=2000))
    model.fit(list(train_texts), train_classes)
    return np.asarray(model.predict(list(texts)), dtype=np.int64)


def _grams(text: str) -> list[str]:
    found = words(text)
    return found + [f"{one} {other}" for one, other in pairwise(found)]
