"""What is said of intervals and tests where the test items are of few groups."""

from __future__ import annotations

from callsift.evaluation.metrics import FEW_GROUPS


def drawn_anew(groups: int, items: int) -> str:
    """What an interval of so many test items draws."""
    return "groups" if FEW_GROUPS <= groups < items else "calls"


def too_few_groups(groups: int, items: int) -> list[str]:
    """A sentence where groups are too few to be drawn, else none."""
    if groups >= FEW_GROUPS or groups >= items:
        return []
    few = f"{groups} groups" if groups > 1 else "one group"
    return [
        f"The test parts hold only {few}, too few for a test by group (its least p would be {2 / 2**groups:.2g}); "
        "intervals and the test by call say something about these alone, and not about others that the model "
        "would meet."
    ]
