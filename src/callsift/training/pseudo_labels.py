"""Which calls of a pool get a pseudo-label: the likeliest grade, where it is likely enough, and not too many of one.

Thresholds per grade, after FlexMatch (Zhang et al. 2021): τ_g = τ · p̄_g / max p̄, with p̄ the running mean of the
probabilities said of the pool, round by round. A grade that the model seldom dares to say needs less confidence; else
only the commonest one would grow. Against the reverse, a grade gets no more labels than `cap` of the pool, and no
more than the share p̄_g that the model believes it has there: the most confident ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from callsift.errors import ConfigError, DataError

Array = NDArray[np.float64]
Status = Literal["added", "kept", "changed", "dropped"]


@dataclass(frozen=True, slots=True)
class AcceptRules:
    """How pseudo-labels are accepted.

    `threshold`: τ, confidence that the grade with the largest share needs. `cap`: most labels of a grade, as a share of
    the pool. `momentum`: how much of the running mean is of earlier rounds. `floor`: least confidence for any grade.

    Raises:
        ConfigError: a number outside its range.
    """

    threshold: float = 0.9
    cap: float = 0.2
    momentum: float = 0.5
    floor: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            low_is_open = name in ("threshold", "cap")
            if not 0.0 <= value <= 1.0 or (low_is_open and value == 0.0) or (name == "momentum" and value == 1.0):
                raise ConfigError(f"{name} {value:g} is not between 0 and 1; see callsift self-train --help")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A pseudo-label: the call, its grade, how probable that was, and the threshold it passed."""

    call_id: str
    label: str
    confidence: float
    threshold: float


def thresholds(mean: Array, rules: AcceptRules) -> Array:
    """τ_g (G,) from the running mean p̄ (G,)."""
    return np.asarray(np.maximum(rules.threshold * (mean / mean.max()), rules.floor))


def running_mean(before: Array | None, probabilities: Array, momentum: float) -> Array:
    """p̄ (G,) after another round, in which `probabilities` (P, G) were said of the pool."""
    now = np.asarray(probabilities.mean(axis=0))
    return now if before is None else np.asarray(momentum * before + (1.0 - momentum) * now)


def accept(
    call_ids: Sequence[str], probabilities: Array, grades: Sequence[str], mean: Array, rules: AcceptRules
) -> list[Accepted]:
    """The pseudo-labels of a round, in the order of the calls. `probabilities` (P, G) calibrated, `mean` p̄ (G,).

    Of equally confident calls, the one whose id comes first is taken.

    Raises:
        DataError: probabilities that are no numbers.
    """
    if not np.isfinite(probabilities).all():
        at = int(np.flatnonzero(~np.isfinite(probabilities).all(axis=1))[0])
        raise DataError(f"the model's probabilities of call '{call_ids[at]}' of the pool are no numbers")
    needed = thresholds(mean, rules)
    best = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    taken: dict[int, Accepted] = {}
    for grade, name in enumerate(grades):
        most = int(min(rules.cap, float(mean[grade])) * len(call_ids) + 1e-9)
        able = [int(at) for at in np.flatnonzero((best == grade) & (confidence >= needed[grade]))]
        able.sort(key=lambda at: (-confidence[at], call_ids[at]))
        for at in able[:most]:
            taken[at] = Accepted(call_ids[at], name, float(confidence[at]), float(needed[grade]))
    return [taken[at] for at in sorted(taken)]


def ledger_rows(
    number: int, now: Sequence[Accepted], before: Sequence[Accepted], truth: Mapping[str, str | None]
) -> list[dict[str, Any]]:
    """A round's lines of the ledger: what is accepted for its training, and what of the round before no longer is.

    `true`: the grade that the pool itself gave the call, which no training sees; None where it gave none.
    """
    earlier = {each.call_id: each for each in before}
    rows = []
    for each in now:
        old = earlier.pop(each.call_id, None)
        status: Status = "added" if old is None else "kept" if old.label == each.label else "changed"
        rows.append(_row(number, each, status, truth))
    return rows + [_row(number, each, "dropped", truth) for each in earlier.values()]


def _row(number: int, accepted: Accepted, status: Status, truth: Mapping[str, str | None]) -> dict[str, Any]:
    return {
        "round": number,
        **asdict(accepted),
        "threshold": round(accepted.threshold, 6),
        "status": status,
        "true": truth.get(accepted.call_id),
    }
