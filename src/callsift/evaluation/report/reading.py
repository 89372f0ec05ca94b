"""How each figure of the evaluation page is called and read, in a line."""

from __future__ import annotations

from collections.abc import Iterable

_FIGURES = {
    "accuracy": ("accuracy", "Share of right answers; 1 is best."),
    "macro_f1": (
        "macro F1",
        "Mean over the classes of F1 (harmonic mean of precision and recall): rare ones count as much.",
    ),
    "weighted_f1": (
        "weighted F1",
        "Mean of F1 over the classes, each weighed by how often it is true (published as WAF).",
    ),
    "uar": ("UAR", "Unweighted average recall: of each class the share found, then their mean; chance is 1 / classes."),
    "quadratic_kappa": (
        "quadratic kappa",
        "Agreement beyond chance; answers further off cost more, by the square. 0 is chance, 1 is best.",
    ),
    "mean_absolute_error": ("mean absolute error", "How far off the number is on average; 0 is best."),
    "correlation": ("correlation", "Pearson’s r of number and truth; 1 is best, 0 is none."),
    "acc2_has0": ("Acc2 has0", "Right sign, zero counted as positive (published for MOSI)."),
    "f1_has0": ("F1 has0", "Weighted F1 of the sign, zero counted as positive."),
    "acc2_non0": ("Acc2 non0", "Right sign, of labels other than zero."),
    "f1_non0": ("F1 non0", "Weighted F1 of the sign, of labels other than zero."),
    "acc5": ("Acc5", "Right after rounding to whole numbers from −2 to 2."),
    "acc7": ("Acc7", "Right after rounding to whole numbers from −3 to 3."),
    "auroc": ("AUROC", "Chance that a buyer has a higher score than another call; ½ is chance, 1 is best."),
    "auprc": ("AUPRC", "Mean precision over all places where one may stop phoning; chance is the share of buyers."),
    "ece_mass": (
        "ECE",
        "Expected calibration error: how far stated and true shares are apart on average, in bins of equal size.",
    ),
    "ece_mass_chance": ("ECE by chance", "What the same number of answers shows though every probability is true."),
    "ece_width": ("ECE, equal widths", "The same in ten bins of equal width."),
    "brier": ("Brier score", "Mean squared distance of the probabilities from the truth; 0 is best."),
    "nll": ("NLL", "Mean negative log-likelihood of the truth; 0 is best, and sure mistakes cost most."),
}
_GENERAL = (
    ("[low, high]", "95 % interval, from drawing whole calls (or groups of them) anew."),
    ("commonest answer", "What always giving the commonest answer of the training calls would reach."),
    ("word counts", "What a linear model on counts of words (TF-IDF), trained on the same calls, reaches."),
    ("lift", "How many times as many buyers are reached as by phoning as many calls in no order."),
    ("contribution", "The score with a segment (or word, sound, pause) less the score without it."),
)


def name_of(metric: str) -> str:
    """A figure's name for people.

    >>> name_of("macro_f1")
    'macro F1'
    """
    return _FIGURES[metric][0] if metric in _FIGURES else metric.replace("_", " ")


def glossary(metrics: Iterable[str]) -> list[tuple[str, str]]:
    """Name and reading of these figures, and of what is on every page."""
    wanted = set(metrics)
    return [*_GENERAL, *(said for key, said in _FIGURES.items() if key in wanted)]
