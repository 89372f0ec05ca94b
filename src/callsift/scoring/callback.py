"""What a place does with scores: the class balance that it has, and which calls it phones back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from callsift.bundle import Bundle, load_bundle
from callsift.canonical import sha256_of_json
from callsift.decision import Calibration, check_target
from callsift.errors import DataError, UsageError
from callsift.files import read_json
from callsift.labels import LabelScheme
from callsift.scoring.batch import ScorerIdentity, ScorerSpec
from callsift.scoring.scorer import Scorer
from callsift.types import Call, CallScore

BY = ("propensity", "rank_score")


@dataclass(frozen=True, slots=True)
class Balance:
    """Share of every grade where the model is used.

    `implied`: what the model's probabilities imply, where `shift` found that; else its training's balance is taken.
    `warning`: why not to use it, empty if nothing is known.
    """

    shares: Mapping[str, float]
    implied: Mapping[str, float] | None = None
    warning: str = ""

    @property
    def sha256(self) -> str:
        """Hash of what it does to a model's answers."""
        return sha256_of_json([dict(self.shares), dict(self.implied or {})])

    def cautions(self, given: str) -> list[str]:
        """What to say before `--balance given` is used."""
        said = [f"{given} advises against its own use: {self.warning}"] if self.warning else []
        if never := [f"'{grade}'" for grade, share in self.shares.items() if share == 0]:
            grades = f"grade {never[0]}" if len(never) == 1 else f"grades {', '.join(never)}"
            said.append(f"--balance {given}: a share of 0 means that {grades} can never be given")
        return said

    def applied(self, calibration: Calibration) -> Calibration:
        """The calibration of a model that is used where this balance holds.

        Raises:
            UsageError: the model does not know its own balance, or never heard a grade that is to have a share.
        """
        known = calibration.train_balance if self.implied is None else self.implied
        if calibration.train_balance is None or known is None:
            raise UsageError("--balance: this model does not know the class balance of its training")
        check_target(known, self.shares)
        return replace(calibration, train_balance=known, target_balance=dict(self.shares))


def hashes_of(bundle: Bundle) -> tuple[str, ...]:
    """By which a balance or a threshold may name this model: the bundle's hash, and the weights' of its run."""
    weights = bundle.provenance.get("weights_sha256")
    return (bundle.sha256, *([str(weights)] if weights else []))


def _check_model(option: str, given: str, found: Mapping[str, Any], scheme: LabelScheme, model: Sequence[str]) -> None:
    """Refuse a file that was made for another model or label scheme; one written by hand says nothing of either."""
    made_for = found.get("model_sha256")
    if found.get("scheme") not in (None, scheme.id):
        raise UsageError(f"{option} {given}: made for label scheme '{found['scheme']}'; the model has '{scheme.id}'")
    if made_for is not None and made_for not in model:
        raise UsageError(
            f"{option} {given}: made for another model ({str(made_for)[:12]}) than this one ({model[0][:12]}); make it "
            f"anew by callsift {'shift' if option == '--balance' else 'thresholds'} with this model"
        )


def read_balance(given: str, scheme: LabelScheme, model: Sequence[str]) -> Balance:
    """The balance of `A=0.1,B=0.2,…`, or of a JSON file `{"balance": {grade: share}}`, as `callsift shift` writes it.

    `model`: the hashes that the model goes by.

    Raises:
        UsageError: not readable, grades missing or unknown, shares negative or of another sum than 1, or a file that
            was made for another model.
    """
    if scheme.kind == "number":
        raise UsageError(f"--balance {given}: label scheme '{scheme.id}' is a number and has no grades to balance")
    if not given.endswith(".json"):
        return Balance(_checked(given, _shares_of_text(given), scheme))
    found = _read("--balance", given)
    shares = _checked(given, _shares_of_file(given, found, "balance"), scheme)
    _check_model("--balance", given, found, scheme, model)
    implied = None
    if "implied_balance" in found:
        implied = _checked(given, _shares_of_file(given, found, "implied_balance"), scheme)
    warnings = [str(each).rstrip(".") for each in found.get("warnings", ())] or ["it is not advised"]
    return Balance(shares, implied, "; ".join(warnings) if found.get("advised") is False else "")


def _read(option: str, given: str) -> Any:
    """The JSON of a file that an option names.

    Raises:
        UsageError: it can't be read, in words; DataError: it is not JSON.
    """
    try:
        return read_json(Path(given))
    except DataError as error:
        cause = error.__cause__
        if not isinstance(cause, OSError):
            raise
        raise UsageError(f"{option} {given}: can't be read: {(cause.strerror or str(cause)).lower()}") from error


def _checked(given: str, shares: dict[str, float], scheme: LabelScheme) -> dict[str, float]:
    """The shares in the scheme's order, their sum exactly 1."""
    unknown, missing = sorted(set(shares) - set(scheme.grades)), [g for g in scheme.grades if g not in shares]
    if unknown or missing:
        what = f"'{unknown[0]}' is no grade" if unknown else f"'{missing[0]}' is missing"
        raise UsageError(f"--balance {given}: {what}; the model's grades are {', '.join(scheme.grades)}")
    wrong = [grade for grade, share in shares.items() if not (math.isfinite(share) and share >= 0)]
    if wrong:
        raise UsageError(f"--balance {given}: the share of '{wrong[0]}' is {shares[wrong[0]]:g}; it must be 0 to 1")
    if abs(total := sum(shares.values()) - 1.0) > 1e-3:
        raise UsageError(f"--balance {given}: the shares sum to {total + 1.0:g}; they must sum to 1")
    return {grade: shares[grade] / (total + 1.0) for grade in scheme.grades}


def _shares_of_file(given: str, found: Any, key: str) -> dict[str, float]:
    balance = found.get(key) if isinstance(found, dict) else None
    if not isinstance(balance, dict) or not all(_is_number(share) for share in balance.values()):
        raise UsageError(f'--balance {given}: a file must be like {{"balance": {{"A": 0.1, …}}}}, as shift writes it')
    return {str(grade): float(share) for grade, share in balance.items()}


def _shares_of_text(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for part in text.split(","):
        grade, equals, share = part.rpartition("=")
        try:
            number = float(share)
        except ValueError:
            equals = ""
        if not equals or grade.strip() in shares:
            raise UsageError(f"--balance {text}: '{part}' is not like A=0.1 (each grade once), nor is it a .json file")
        shares[grade.strip()] = number
    return shares


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class BalancedSpec(ScorerSpec):
    """A scorer for a place with another class balance than the training had.

    `balance` goes into the hash of the settings, so that no file mixes two balances.
    """

    balance: Balance = field(default_factory=lambda: Balance({}))

    def make(self) -> Scorer:
        """The scorer, corrected."""
        corrected = self.balance.applied(load_bundle(self.bundle).calibration)
        scorer = ScorerSpec.make(replace(self, said={**self.said, "balance": self.balance.sha256}).plain)
        scorer.calibration = corrected
        return scorer

    def make_worker(self) -> tuple[ScorerIdentity, Callable[[Call], CallScore]]:
        """As of a `ScorerSpec`."""
        scorer = self.make()
        return ScorerIdentity(scorer.info, scorer.settings_sha256), scorer.score

    @property
    def plain(self) -> ScorerSpec:
        """The same without the balance."""
        return ScorerSpec(self.bundle, self.asr, self.threads, self.diarizer, self.redact, self.said)


@dataclass(frozen=True, slots=True)
class CallBack:
    """Which calls to phone back: those whose score `by` is at least `threshold`, or the `top` best."""

    by: str = "propensity"
    threshold: float | None = None
    top: int | None = None

    def mark(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The rows with `call_back`: true or false, null of a call that could not be scored.

        Raises:
            UsageError: the model gives no such score.
        """
        scored = [row for row in rows if row["error"] is None]
        if scored and all(row[self.by] is None for row in scored):
            raise UsageError(f"this model gives no {self.by} to choose calls by")
        if self.top is None:
            chosen = {row["call_id"] for row in scored if row[self.by] >= self.threshold}
        else:
            best = sorted(scored, key=lambda row: (-row[self.by], row["call_id"]))[: self.top]
            chosen = {row["call_id"] for row in best}
        return [{**row, "call_back": None if row["error"] else row["call_id"] in chosen} for row in rows]


def read_threshold(given: str, scheme: LabelScheme, model: Sequence[str], balance: Balance | None) -> CallBack:
    """A number, which the propensity must reach, or what `callsift thresholds -o FILE` wrote.

    `model`: the hashes that the model goes by. `balance`: what the scores are corrected for.

    Raises:
        UsageError: neither, a number that is no propensity, or found for another model or another balance.
    """
    found: Any = {"by": BY[0]}
    try:
        found["threshold"] = typed = float(given)
        if math.isfinite(typed) and not 0 <= typed <= 1:
            meant = f"; did you mean {typed / 100:g}?" if 1 < typed <= 100 else ""
            raise UsageError(f"--threshold {given}: a propensity is from 0 to 1{meant}")
    except ValueError:
        found = _read("--threshold", given)
    threshold: Any
    threshold, by = (found.get(key) if isinstance(found, dict) else None for key in ("threshold", "by"))
    if not _is_number(threshold) or not math.isfinite(threshold) or by not in BY:
        raise UsageError(f"--threshold {given}: neither a number such as 0.6 nor a file of callsift thresholds -o")
    _check_model("--threshold", given, found, scheme, model)
    if "balance_sha256" in found and found["balance_sha256"] != (None if balance is None else balance.sha256):
        theirs, ours = ("without" if each is None else "with" for each in (found["balance_sha256"], balance))
        other = "another --balance" if theirs == ours == "with" else f"scores {theirs} --balance, and these are {ours}"
        raise UsageError(f"--threshold {given}: found for {other}; give both commands the same --balance")
    return CallBack(by, float(threshold))


def call_back_by(
    threshold: str | None, top: int | None, scheme: LabelScheme, model: Sequence[str], balance: Balance | None = None
) -> CallBack | None:
    """What was asked for: at most one of the two; `top` goes by the rank score, else by the propensity.

    Raises:
        UsageError: both, or the threshold can't be read or does not go with the model or the balance, or the model
            gives no propensity.
    """
    if threshold is not None and top is not None:
        raise UsageError("--threshold and --top both say which calls to phone back; give one of them")
    if top is not None:
        asked = CallBack("rank_score" if scheme.worth or scheme.kind == "number" else "propensity", top=top)
    elif threshold is not None:
        asked = read_threshold(threshold, scheme, model, balance)
    else:
        return None
    if asked.by == "propensity" and not scheme.positive:  # before anything is scored
        raise UsageError(
            "this model gives no propensity to choose calls by: its label scheme says of no grade that it is "
            "a buyer ('positive' is empty)"
        )
    return asked
