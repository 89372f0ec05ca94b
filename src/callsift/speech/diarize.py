"""Who of two speaks when on one channel, without trained weights: the call itself teaches how voices differ in it.

1. Speech is cut into units of about a second, each described by mean and mean square of its cepstra.
2. Neighbouring units of one stretch of speech are mostly of one speaker, so their differences show how one voice varies
   (sounds, loudness). Measured in units of that, the direction in which the call varies most is the one between the
   two speakers: the intra-speaker compensation and principal direction of Aronowitz (2010, «Unsupervised compensation
   of intra-session intra-speaker variability for speaker diarization», Odyssey), as a generalised eigenvector.
3. From the halves along it, each voice gets a Gaussian mixture, frames are given to the voices by Viterbi, and so on
   until nothing changes (Anguera et al. 2012, «Speaker diarization: a review of recent research»). To change speakers
   costs less in pauses than in the middle of speech.
4. There are two speakers if mixtures made from nine tenths of the call tell those in the last tenth apart.

The constants are round figures from this literature, tried on dialogues joined from clips of RAVDESS and nEMO. Halving
or doubling the costs or the weight of a frame moves the share of rightly given time by less than 0.02 there; half as
many Gaussians cost 0.04, units of 1.5 s 0.12, as the clips are hardly longer. `SECOND_VOICE` was set on real calls: see
there, and `benchmarks/mono_speakers.py` for what comes of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from callsift.plugins import Diarization
from callsift.speech.voices import HOP_S, Mixture, VoiceFrames, voice_frames
from callsift.types import BoolArray, FloatArray, IntArray, Signal, Span

UNIT_S = 1.0
"""Long enough that sounds average out, short enough that few units hold two speakers."""

GAUSSIANS = 8
"""Per voice; a minute of speech fills no more."""

PAUSE_COST, SPEECH_COST = 6.0, 20.0
"""What a change of speakers costs in a pause and within speech, in nats. The voices of SpokenWOZ's calls differ by 28
nats a second and more, so at the least a quarter and three quarters of a second of speech outweigh it."""

FRAME_WEIGHT = 0.3
"""Successive frames resemble each other: a frame counts for so much of an independent one (as in Diez, Burget &
Matějka 2018)."""

SECOND_VOICE = 1.25
"""d' between the speakers' units from which there are two. Set on SpokenWOZ and the mono sales calls, where two persons
reach 1.1 to 9 and single ones 0 to 1.4, one 1.9. As a sales call nearly always has two, it lies low. One person who
changes her voice from turn to turn, as actors of emotions do, is taken for two."""

MIN_SPEECH_S = 4.0
"""Below it nothing is said about a second voice."""

MIN_VOICE_S = 1.0
"""Who speaks less is no second speaker."""

MOST_FRAMES = 30_000
"""A voice is learned from at most this many frames (10 minutes), evenly taken."""

_LEAST_SHARE = 0.1  # of the speech, for either half of the first division
_PRIOR_FRAMES = 5  # by which a unit with few strong frames is drawn to the average
_SHRINK = 0.1  # of the mean variance, added to how one voice varies: there are few units and many directions
_MIN_PAIRS = 5
_ROUNDS = 8
_SETTLED = 0.002
_FOLDS, _FOLD_S = 10, 3.0
_MIN_UNIT_FRAMES = 15


class ClusteringDiarizer:
    """Tells two speakers of one channel apart; nothing to download."""

    name = "clustering"

    def diarize(self, samples: Signal, rate_hz: int, speech: Sequence[Span]) -> Diarization:
        """Speakers of the speech (in order, disjoint) in one channel (T,).

        `confidence`: the share of units that two normal distributions d' apart would give to the right speaker; for
        one speaker, as much as d' stays below `SECOND_VOICE`. On half-minute dialogues of RAVDESS and nEMO, 0.80 of the
        time was right where it said 0.7 to 0.8, 0.88 at 0.8 to 0.9, 0.97 above 0.95.
        """
        frames = voice_frames(samples, rate_hz, speech)
        if frames.strong.sum() * HOP_S < MIN_SPEECH_S:
            return Diarization((tuple(speech),) if speech else (), 0.5)
        units = _units(frames)
        labels = _resegmented(frames, _first_division(frames, units)[units])
        apart = _separation(frames, labels, units)
        if apart < SECOND_VOICE:
            return Diarization((tuple(speech),), _normal((2 * SECOND_VOICE - apart) / 2))
        return Diarization(_spans(frames, labels, speech), _normal(apart / 2))


def _units(frames: VoiceFrames) -> IntArray:
    """(F,) number of each frame's unit: every span in equal parts of about `UNIT_S`."""
    _, first, counts = np.unique(frames.span, return_index=True, return_counts=True)
    units = np.empty(len(frames.span), np.int64)
    number = 0
    for start, count in zip(first.tolist(), counts.tolist(), strict=True):
        parts = max(1, round(count * HOP_S / UNIT_S))
        units[start : start + count] = number + np.arange(count) * parts // count
        number += parts
    return units


def _first_division(frames: VoiceFrames, units: IntArray) -> IntArray:
    """Which of two speakers each unit (U,) is, by the direction in which the call varies more than one voice does."""
    looks, weights = _looks(frames, units)
    shares = weights / weights.sum()
    looks = looks - shares @ looks
    looks = looks / (np.sqrt(shares @ np.square(looks)) + 1e-9)
    span = frames.span[np.searchsorted(units, np.arange(len(looks)))]
    together = span[1:] == span[:-1]
    steps, step_weights = np.diff(looks, axis=0)[together], np.minimum(weights[1:], weights[:-1])[together]
    one_voice = np.eye(looks.shape[1])
    if len(steps) > _MIN_PAIRS and step_weights.sum() > 0:
        one_voice = (steps.T * (step_weights / step_weights.sum())) @ steps / 2
    one_voice += _SHRINK * np.trace(one_voice) / len(one_voice) * np.eye(len(one_voice))
    spread, axes = np.linalg.eigh(one_voice)
    whitened = looks @ (axes / np.sqrt(spread))
    _, directions = np.linalg.eigh((whitened.T * shares) @ whitened)
    return _halves(whitened @ directions[:, -1], weights)


def _looks(frames: VoiceFrames, units: IntArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and mean square of every unit's strong frames (U, 2·CEPSTRA), and how many these are (U,)."""
    count = int(units[-1]) + 1
    chosen = units[frames.strong]
    weights = np.bincount(chosen, minlength=count).astype(np.float64)
    means, squares = [], []
    for column in frames.cepstra.T:
        loud = column[frames.strong]
        means.append(np.bincount(chosen, weights=loud, minlength=count))
        squares.append(np.bincount(chosen, weights=np.square(loud), minlength=count) + _PRIOR_FRAMES)
    return np.stack([*means, *squares], axis=1) / (weights[:, None] + _PRIOR_FRAMES), weights


def _halves(values: NDArray[np.float64], weights: NDArray[np.float64]) -> IntArray:
    """Values (U,) cut in two (U,) where the weighted variance within the parts is least (two means, exactly)."""
    order = np.argsort(values, kind="stable")
    counts, sums = np.cumsum(weights[order]), np.cumsum((weights * values)[order])
    low, high = counts[:-1], counts[-1] - counts[:-1]
    between = np.square(sums[:-1]) / np.maximum(low, 1e-9) + np.square(sums[-1] - sums[:-1]) / np.maximum(high, 1e-9)
    balanced = np.minimum(low, high) >= _LEAST_SHARE * counts[-1]
    if balanced.any():
        between[~balanced] = -np.inf
    labels = np.zeros(len(values), np.int64)
    labels[order[int(between.argmax()) + 1 :]] = 1
    return labels


def _resegmented(frames: VoiceFrames, labels: IntArray) -> IntArray:
    """Labels (F,), 0 or 1, after fitting the two voices and giving them their frames until that settles."""
    cost = np.full(len(labels), SPEECH_COST)
    cost[1:][frames.span[1:] != frames.span[:-1]] = PAUSE_COST
    for _ in range(_ROUNDS):
        voices = _voices(frames, labels, frames.strong)
        if voices is None:
            break
        ratio = _ratio(voices, frames.cepstra)
        found = best_path(np.where(frames.strong, FRAME_WEIGHT * ratio, 0.0), cost)
        changed = float((found != labels).mean())
        labels = found
        if changed < _SETTLED:
            break
    return labels


def _voices(frames: VoiceFrames, labels: IntArray, chosen: BoolArray) -> tuple[Mixture, Mixture] | None:
    """The two voices, learned from the chosen frames (F,); None if one of them has too little."""
    own = [np.flatnonzero(chosen & (labels == speaker)) for speaker in (0, 1)]
    if min(each.size for each in own) * HOP_S < MIN_VOICE_S:
        return None
    taken = [frames.cepstra[each[:: -(-each.size // MOST_FRAMES)]] for each in own]
    return Mixture(taken[0], GAUSSIANS), Mixture(taken[1], GAUSSIANS)


def _ratio(voices: tuple[Mixture, Mixture], cepstra: FloatArray) -> NDArray[np.float64]:
    """Log-likelihood ratio of speaker 1 to 0 at every frame (F, CEPSTRA) → (F,)."""
    return np.asarray(voices[1].log_likelihood(cepstra) - voices[0].log_likelihood(cepstra))


def best_path(ratio: NDArray[np.float64], cost: NDArray[np.float64]) -> IntArray:
    """The likeliest course (F,) of two states, by Viterbi.

    `ratio` (F,): log-likelihood ratio of state 1 to state 0; `cost` (F,): of changing just before each frame. With two
    states the difference of their scores is all there is to remember, and a change is what keeps it within the cost.
    """
    lead = 0.0
    entered: list[int] = []  # the state that the other one's best path comes to here, -1 where both stay
    for gain, price in zip(ratio.tolist(), cost.tolist(), strict=True):
        entered.append(0 if lead > price else 1 if lead < -price else -1)
        lead = min(max(lead, -price), price) + gain
    states = np.empty(len(entered), np.int64)
    state = int(lead > 0)
    for at in range(len(entered) - 1, -1, -1):
        states[at] = state
        if entered[at] == state:
            state = 1 - state
    return states


def _separation(frames: VoiceFrames, labels: IntArray, units: IntArray) -> float:
    """d': how many standard deviations the two speakers' units lie apart, in the ratio of voices that were learned from
    the rest of the call (every `_FOLDS`th stretch of `_FOLD_S` is held out). 0 where there is too little of either.
    """
    fold = (frames.centre_s // _FOLD_S).astype(np.int64) % _FOLDS
    ratio = np.zeros(len(labels))
    for held_out in range(_FOLDS):
        here = fold == held_out
        voices = _voices(frames, labels, frames.strong & ~here)
        if voices is None:
            return 0.0
        ratio[here] = _ratio(voices, frames.cepstra[here])
    count = int(units[-1]) + 1
    strong = np.bincount(units[frames.strong], minlength=count)
    means = np.bincount(units, weights=ratio * frames.strong, minlength=count) / np.maximum(strong, 1)
    second = np.bincount(units, weights=labels, minlength=count) > np.bincount(units, minlength=count) / 2
    sides = [means[(second == speaker) & (strong > _MIN_UNIT_FRAMES)] for speaker in (False, True)]
    if min(side.size for side in sides) < 2:
        return 0.0
    spread = math.sqrt((float(sides[0].var()) + float(sides[1].var())) / 2)
    return float(sides[1].mean() - sides[0].mean()) / max(spread, 1e-9)


def _spans(frames: VoiceFrames, labels: IntArray, speech: Sequence[Span]) -> tuple[tuple[Span, ...], ...]:
    """The speech cut where the speaker changes, per speaker in order of first speech."""
    said: dict[int, list[Span]] = {}
    for number, span in enumerate(speech):
        first, end = np.searchsorted(frames.span, (number, number + 1)).tolist()
        here = labels[first:end] if end > first else labels[max(0, first - 1) : max(0, first - 1) + 1]
        changes = (np.flatnonzero(np.diff(here)) + 1).tolist()
        cuts = [float(frames.centre_s[first + at]) - HOP_S / 2 for at in changes]
        bounds = [span.start_s, *cuts, span.end_s]
        for at, start_s, end_s in zip([0, *changes], bounds[:-1], bounds[1:], strict=True):
            said.setdefault(int(here[at]), []).append(Span(start_s, end_s))
    return tuple(tuple(spans) for spans in said.values())


def _normal(value: float) -> float:
    """The standard normal distribution function."""
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))
