"""How each figure of the evaluation page is called and read, in a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from callsift.evaluation.metrics import METRIC_NAMES
from callsift.evaluation.report.words import Found, counted, drawn_of

_NAMES = METRIC_NAMES | {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "ece_mass": "ECE",
    "ece_mass_chance": "ECE by chance",
    "ece_width": "ECE, equal widths",
    "brier": "Brier score",
    "nll": "NLL",
}
_READINGS = {
    "accuracy": "Share of right answers; 1 is best.",
    "macro_f1": "Mean over the classes of F1 (harmonic mean of precision and recall): rare ones count as much.",
    "weighted_f1": "Mean of F1 over the classes, each weighed by how often it is true (published as WAF).",
    "uar": "Unweighted average recall: of each class the share found, then their mean; chance is 1 / classes.",
    "quadratic_kappa": "Agreement beyond chance; answers further off cost more, by the square. 0 is chance, 1 is best.",
    "mean_absolute_error": "Mean absolute error: how far off the number is on average; 0 is best.",
    "correlation": "Pearson’s r of number and truth; 1 is best, 0 is none.",
    "acc2_has0": "Right sign, zero counted as positive (published for MOSI).",
    "f1_has0": "Weighted F1 of the sign, zero counted as positive.",
    "acc2_non0": "Right sign, of labels other than zero.",
    "f1_non0": "Weighted F1 of the sign, of labels other than zero.",
    "acc5": "Right after rounding to whole numbers from −2 to 2.",
    "acc7": "Right after rounding to whole numbers from −3 to 3.",
    "auroc": "Chance that a buyer has a higher score than another call; ½ is chance, 1 is best.",
    "auprc": "Mean precision over all places where one may stop phoning; chance is the share of buyers.",
    "ece_mass": "Expected calibration error, how far stated and true shares lie apart on average; bins of equal size.",
    "ece_mass_chance": "What the same number of answers shows though every probability is true. Whether those of a "
    "group come true each by itself or together is not known: both are drawn, and the larger is shown.",
    "ece_width": "The same in ten bins of equal width.",
    "brier": "Mean squared distance of the probabilities from the truth; 0 is best.",
    "nll": "Mean negative log-likelihood of the truth; 0 is best, and sure mistakes cost most.",
}
_RANGE = (
    "95 % interval, from drawing {} anew, each as a whole. Where there is none, every draw gave the same, which of few "
    "calls says nothing of others."
)
_LIFT = "How many times as many buyers are reached as by phoning as many calls in no order."
_CONTRIBUTION = "The score with a segment (or word, sound, pause) less the score without it."


def name_of(metric: str) -> str:
    """A figure's name for people.

    >>> name_of("macro_f1")
    'macro F1'
    """
    return _NAMES.get(metric, metric.replace("_", " "))


def titled(metric: str) -> str:
    """The same at the beginning of a sentence.

    >>> titled("accuracy"), titled("mean_absolute_error")
    ('Accuracy', 'MAE')
    """
    name = name_of(metric)
    return name[:1].upper() + name[1:]


def commonest_of(found: Found) -> str:
    """What the baseline that listens to nothing always answers."""
    if found["scheme"]["kind"] == "number":
        learned = (found.get("balance") or {}).get("train_median") is not None
        return f"the median of the labels {'in training' if learned else 'here'}"
    where = "in training" if (found.get("balance") or {}).get("train") else "here"
    return f"the answer commonest {where}"


def learned_from(found: Found) -> str:
    """What the word counts were learned from; empty where there are none."""
    calls = ((found.get("baselines") or {}).get("tfidf") or {}).get("calls") or 0
    return f"{counted(calls, 'calls')} of the training part that are no relatives of these" if calls else ""


def glossary(found: Found, metrics: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and reading of these figures, and of what is on the page besides."""
    wanted = set(metrics)
    yield "[low, high]", _RANGE.format(drawn_of(found))
    number = found["scheme"]["kind"] == "number"
    yield "always the median" if number else "commonest answer", f"What always giving {commonest_of(found)} reaches."
    if learned := learned_from(found):
        yield "word counts", f"What a linear model on counts of words (TF-IDF) reaches, learned from {learned}."
    if found.get("gain"):
        yield "lift", _LIFT
    yield "contribution", _CONTRIBUTION
    yield from ((name_of(key), text) for key, text in _READINGS.items() if key in wanted)
