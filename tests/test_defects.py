"""What the published code does that the paper does not say, each with a test that fails on it.

Every check is a function that passes on this package and is then shown to fail where the defect is planted.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score

from callsift.config import FrontEnd
from callsift.data.manifest import Manifest, read_manifest
from callsift.data.splits import check_groups, folds, hold_out
from callsift.decision import Calibration, decide
from callsift.errors import DataError
from callsift.evaluation.metrics import CLASS_METRICS
from callsift.evaluation.tasks import figures_by_task
from callsift.network.model import CallNetwork
from callsift.pipeline import Pipeline
from callsift.text.tokens import word_tokenizer
from callsift.training.batches import Example, make_example
from callsift.training.checkpoint import load_state
from callsift.training.fit import Logits, predict
from callsift.training.optimise import make_optimizer
from callsift.training.step import train_step
from callsift.types import Call, Segment, Turn
from tests import defects_support as support
from tests.defects_support import FIT, SCHEME, apart, build, call_of, call_of_rounds, gradients, heard, logits_of, tone

Build = Callable[..., CallNetwork]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return support.save_encoders(tmp_path_factory.mktemp("models"))


@pytest.fixture
def network(models: dict[str, str]) -> Build:
    return lambda **changes: build(models, **changes)


def check_batch_mates_change_nothing(found: CallNetwork, calls: Sequence[Example]) -> None:
    together = logits_of(found, *calls)
    for row, call in enumerate(calls):
        assert apart(together[row], logits_of(found, call)[0]) < 1e-4


def check_audio_is_heard(found: CallNetwork) -> None:
    call, other = call_of_rounds(3, seed=0), call_of_rounds(3, seed=1)
    assert apart(logits_of(found, call), logits_of(found, support.with_audio_of(call, other))) > 1e-3


def check_audio_learns(found: CallNetwork) -> None:
    found.zero_grad()
    logits = logits_of(found, call_of_rounds(3), call_of_rounds(2, seed=1))
    (logits * torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
    parts = {"hubert": found.encoders["audio"], "cross": found.fusion.cross, "second": found.fusion.cross_bottleneck}
    weights = {f"{key} {name}": w for key, part in parts.items() for name, w in part.named_parameters()}
    learning = {name: weight for name, weight in weights.items() if weight.requires_grad}
    assert sum(name.startswith("hubert") for name in learning) > 30
    for name, weight in {**learning, "tokens": found.fusion.tokens}.items():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 1e-7, name


@pytest.mark.parametrize("check", [check_audio_is_heard, check_audio_learns])
def test_defect_1_audio_never_reaches_the_output(network: Build, check: Callable[[CallNetwork], None]) -> None:
    """No one attends to the bottleneck tokens and the text is read alone: other audio, same logits, no gradient."""
    for readout in ("both", "text", "flatten"):
        check(network(readout=readout))
    deaf = network()
    support.hear_nothing(deaf)
    with pytest.raises(AssertionError, match=r"assert 0\.0 > 0\.001|\(0\.\) > 1e-07|is not None"):
        check(deaf)


def check_every_layer_counts(found: CallNetwork, stack: str) -> None:
    """A layer that is passed over would not be missed."""
    call = call_of_rounds(3)
    before = logits_of(found, call)
    for layer in getattr(found.fusion, stack):
        passed_over = layer.register_forward_hook(lambda _, given, made: given[0])
        assert apart(before, logits_of(found, call)) > 1e-3
        passed_over.remove()


@pytest.mark.parametrize("stack", ["cross", "own", "bottleneck", "cross_bottleneck"])
def test_defect_2_layers_are_not_chained(network: Build, stack: str) -> None:
    """Each layer reads the same input and overwrites the last one's output."""
    check_every_layer_counts(network(), stack)
    unchained = network()
    for name in ("bottleneck", "cross_bottleneck") if "bottleneck" in stack else (stack,):
        support.feed_all_the_same(getattr(unchained.fusion, name))
    with pytest.raises(AssertionError, match=r"assert 0\.0 > 0\.001"):
        check_every_layer_counts(unchained, stack)


def check_streams_have_layers_of_their_own(found: CallNetwork) -> None:
    """Other weights of the complementary stream's attention leave what the text's layer makes as it was."""
    call = call_of_rounds(3)
    for level in range(len(found.fusion.bottleneck)):
        changed = copy.deepcopy(found)
        for weight in changed.fusion.cross_bottleneck[level].attention.parameters():
            weight.data.neg_()
        made = []
        for each in (found, changed):
            hook = each.fusion.bottleneck[level].register_forward_hook(lambda _, given, out, to=made: to.append(out))
            made.append(logits_of(each, call))
            hook.remove()
        assert apart(made[0], made[2]) < 1e-6
        assert apart(made[1], made[3]) > 1e-4


def check_both_streams_are_updated(found: CallNetwork) -> None:
    """What the next layer, and at last the pool, reads of a stream is not what this layer read of it."""
    for name, states in support.states_read(found, call_of_rounds(1)).items():
        assert len(states) == 4
        for before, after in pairwise(states):
            assert apart(before, after) > 1e-3, name


def test_defect_3_one_self_attention_for_both_and_one_update_thrown_away(network: Build) -> None:
    """The streams share a self-attention, and what it makes of the complementary stream is dropped."""
    check_streams_have_layers_of_their_own(network())
    check_both_streams_are_updated(network())
    shared, dropped = network(), network()
    support.share_attention(shared)
    with pytest.raises(AssertionError):
        check_streams_have_layers_of_their_own(shared)
    support.throw_away(dropped.fusion.cross_bottleneck)
    with pytest.raises(AssertionError, match="second"):
        check_both_streams_are_updated(dropped)


UNEQUAL_TEXTS = [call_of([(tokens, 900)], seed=tokens) for tokens in (3, 38)]


def check_no_weight_is_for_a_position(network: Build, readout: str) -> None:
    few, many = (network(flatten_length=length, readout=readout).fusion for length in (8, 40))
    assert [w.shape for w in few.parameters()] == [w.shape for w in many.parameters()]


def test_defect_4_flattened_positions_read_padding(network: Build) -> None:
    """All 200 positions go end to end into one layer, which reads the padding too."""
    check_no_weight_is_for_a_position(network, "both")
    with pytest.raises(AssertionError):
        check_no_weight_is_for_a_position(network, "flatten")
    check_batch_mates_change_nothing(network(), UNEQUAL_TEXTS)
    check_batch_mates_change_nothing(network(readout="flatten"), UNEQUAL_TEXTS)
    careless = network(readout="flatten")
    support.flatten_padding_too(careless)
    with pytest.raises(AssertionError):
        check_batch_mates_change_nothing(careless, UNEQUAL_TEXTS)


SHORT, LONG = call_of([(5, 15 * 8000)], seed=1), call_of([(30, 40 * 8000)], seed=2)


def check_padding_changes_nothing(found: CallNetwork) -> None:
    for stream in found.streams:
        assert support.states_moved(found, stream, SHORT, LONG) < 1e-5
    check_batch_mates_change_nothing(found, [SHORT, LONG])


def test_defect_5_padding_changes_results(network: Build) -> None:
    """HuBERT's first norm runs over time: 15 s padded to 40 s have other states."""
    check_padding_changes_nothing(network())
    padded = network()
    support.hear_padding(padded)
    assert support.states_moved(padded, "audio", SHORT, LONG) > 1e-3
    with pytest.raises(AssertionError):
        check_padding_changes_nothing(padded)
    with pytest.raises(AssertionError):
        check_batch_mates_change_nothing(padded, [SHORT, LONG])


Answer = Callable[[Sequence[Example]], Logits]


def check_each_call_is_one(answer: Answer, calls: Sequence[Example]) -> None:
    """One answer each, the same in a batch as alone, to which the order of all segments matters."""
    together = answer(calls)
    for task, count in SCHEME.class_counts.items():
        assert together[task].shape == (len(calls), count)
    for row, call in enumerate(calls):
        segments = call.inputs.segments
        shift = 3 if len(segments) > 3 else 1
        turned = replace(call, inputs=replace(call.inputs, segments=(*segments[shift:], *segments[:shift])))
        alone, otherwise = answer([call]), answer([turned])
        assert max(np.abs(alone[task][0] - together[task][row]).max() for task in together) < 1e-4
        if len(segments) > 1:
            assert max(np.abs(alone[task] - otherwise[task]).max() for task in together) > 1e-4


def test_defect_6_long_calls_are_cut_into_samples(network: Build) -> None:
    """More than three segments become independent samples with one label, more than 21 nothing."""
    found, calls = network(), [call_of_rounds(count, seed=count) for count in (22, 1, 150, 3, 6)]
    cut, averaged = support.answer_in_threes(found), support.answer_in_threes(found, average=True)
    check_each_call_is_one(lambda calls: predict(found, calls), calls)
    check_each_call_is_one(cut, calls[3:4])
    for call, message in ((calls[0], r"\(0, 5\) == \(1, 5\)"), (calls[4], r"\(2, 5\) == \(1, 5\)")):
        with pytest.raises(AssertionError, match=message):
            check_each_call_is_one(cut, [call])
    with pytest.raises(AssertionError, match="> 0.0001"):
        check_each_call_is_one(averaged, calls[4:])


@pytest.mark.parametrize("count", [1, 3, 22, 150])
def test_defect_6_in_the_front_end(count: int) -> None:
    """A call of the manifest is one example with one label, whatever it is cut into."""
    pipeline = Pipeline(FrontEnd(), word_tokenizer(), None)
    segments = tuple(Segment(str(at), (Turn("customer", f"yes {at}"),)) for at in range(count))
    prepared = pipeline.prepare(Call("a", label="B", segments=segments))
    example = make_example(pipeline.inputs(prepared)[0], prepared, SCHEME, "call")
    assert (example.items, example.labels) == (("",), ("B",))
    assert len(example.inputs.segments) == count
    assert all(segment["text"] is not None for segment in example.inputs.segments)


GROUPS = {"five": "01234", "four": "01233", "three": "01122", "two": "00011"}
"""The paper's tasks: the class of A, B, C, D, E in each."""


def check_accuracies_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    labels = list(random.choice(list("ABCDE"), 60))
    logits = {task: random.standard_normal((60, count)) for task, count in SCHEME.class_counts.items()}
    verdicts = decide(logits, SCHEME, Calibration())
    raw = figures_by_task(SCHEME, labels, [verdict.raw for verdict in verdicts], draws=5)
    combined = figures_by_task(SCHEME, labels, [verdict.probabilities for verdict in verdicts], draws=5)
    for task, classes in GROUPS.items():
        truth = [int(classes["ABCDE".index(label)]) for label in labels]
        assert raw[task]["accuracy"]["value"] == pytest.approx(accuracy_score(truth, logits[task].argmax(axis=1)))
        shares = np.zeros(logits[task].shape)
        for at, grade in enumerate("ABCDE"):
            shares[:, int(classes[at])] += [verdict.probabilities["five"][grade] for verdict in verdicts]
        assert combined[task]["accuracy"]["value"] == pytest.approx(accuracy_score(truth, shares.argmax(axis=1)))


def check_the_best_is_kept(training: support.Training) -> None:
    assert training.best_epoch == 1 + training.losses.index(min(training.losses))
    assert training.left == pytest.approx(min(training.losses), abs=1e-5)


def test_defect_7_accuracies_of_the_coarse_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign of a class number is compared, as of a sentiment: two-class accuracy is always 1."""
    check_accuracies_are_those_of_scikit_learn()
    monkeypatch.setitem(CLASS_METRICS, "accuracy", support.accuracy_of_signs)
    with pytest.raises(AssertionError):
        check_accuracies_are_those_of_scikit_learn()


def test_defect_7_the_best_checkpoint_is_the_last(
    network: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a figure that is always 1, the last epoch is the best; ours is the one that validation says."""
    ours = support.trained(network(), tmp_path / "ours")
    check_the_best_is_kept(ours)
    assert ours.losses[-1] > min(ours.losses) + 0.1
    monkeypatch.setattr("callsift.training.course.Course.best_epoch", property(lambda course: len(course.history)))
    last = support.trained(network(), tmp_path / "planted")
    assert last.losses == ours.losses
    with pytest.raises(AssertionError):
        check_the_best_is_kept(last)


def check_one_optimiser_and_one_schedule(found: CallNetwork, folder: Path) -> None:
    """Five calls in batches of two, two batches a step: two steps an epoch, and AdamW has counted them all."""
    rates = support.trained(found, folder).rates
    optimizer = make_optimizer(found, FIT)
    load_state(folder / "checkpoints/last/state.safetensors", found, optimizer)
    assert len(rates) == 2 * FIT.epochs
    assert {int(moments["step"]) for moments in optimizer.state.values()} == {2 * FIT.epochs}
    assert rates[0] == max(rates)  # one step of warm-up
    assert all(after < before for before, after in pairwise(rates[1:]))
    assert rates[-1] < 0.1 * rates[0]


def check_gradients_are_averaged(step: support.Step, found: CallNetwork) -> None:
    calls = [call_of_rounds(2, seed=seed, label="ABCDE"[seed % 5]) for seed in range(16)]
    whole = gradients(step, found, [[calls]])
    for sizes in ([4] * 4, [1] * 16, [1, 3, 12]):
        ends = np.cumsum(sizes)
        parts = [calls[end - size : end] for size, end in zip(sizes, ends, strict=True)]
        assert apart(whole, gradients(step, found, [parts])) < 1e-4 * float(whole.abs().max())


def check_nothing_leaks_into_the_next_step(step: support.Step, found: CallNetwork) -> None:
    one, other = ([[call_of_rounds(2, seed=seed, label=label)]] for seed, label in ((0, "A"), (1, "E")))
    alone = gradients(step, found, [other])
    assert apart(alone, gradients(step, found, [one, other])) < 1e-5 * float(alone.abs().max())


def test_defect_8_optimiser_and_schedule_are_rebuilt(
    network: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new optimiser every epoch forgets its moments, a new schedule every step stays at its first rate."""
    from callsift.training import fit as module

    check_one_optimiser_and_one_schedule(network(), tmp_path / "ours")
    schedule = module._schedule
    with monkeypatch.context() as defect:
        defect.setattr(module, "_one_epoch", support.forgetting_epoch(module._one_epoch))
        with pytest.raises(AssertionError, match=r"\{2\} == \{6\}"):
            check_one_optimiser_and_one_schedule(network(), tmp_path / "optimiser")
    monkeypatch.setattr(module, "_schedule", lambda step, steps, warmup: schedule(0, steps, warmup))
    with pytest.raises(AssertionError):
        check_one_optimiser_and_one_schedule(network(), tmp_path / "schedule")


@pytest.mark.parametrize("check", [check_gradients_are_averaged, check_nothing_leaks_into_the_next_step])
def test_defect_8_gradients_are_summed_and_leak(
    network: Build, check: Callable[[support.Step, CallNetwork], None]
) -> None:
    """Accumulated gradients are not averaged and leak into the next epoch; a batch is one call."""
    check(train_step, network())
    with pytest.raises(AssertionError):
        check(support.summing_step, network())


AGENT_HZ, CUSTOMER_HZ = (410.0, 1230.0), (300.0, 730.0, 2900.0)


def check_same_tone(found: NDArray[np.float32], encoder_rate_hz: int) -> None:
    expected = tone(encoder_rate_hz, CUSTOMER_HZ)
    assert found.shape == expected.shape
    assert np.corrcoef(found, expected)[0, 1] > 0.99


@pytest.mark.parametrize("encoder_rate_hz", [8000, 16000])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_defect_9_sampling_rates_are_ignored(
    rate_hz: int, encoder_rate_hz: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples are fed as they are, whatever their rate and the encoder's."""
    soundfile.write(tmp_path / "a.wav", tone(rate_hz, CUSTOMER_HZ), rate_hz)
    check_same_tone(heard(tmp_path / "a.wav", encoder_rate_hz), encoder_rate_hz)
    if rate_hz != encoder_rate_hz:
        monkeypatch.setattr("callsift.pipeline.streams.resample", lambda samples, *_: samples)
        with pytest.raises(AssertionError):
            check_same_tone(heard(tmp_path / "a.wav", encoder_rate_hz), encoder_rate_hz)


def test_defect_9_stereo_is_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides in one signal, though one channel is the customer's alone."""
    sides = np.stack([tone(8000, AGENT_HZ), tone(8000, CUSTOMER_HZ)], axis=1)
    soundfile.write(tmp_path / "a.wav", sides, 8000)
    found = heard(tmp_path / "a.wav", 16000, "customer")
    check_same_tone(found, 16000)
    soundfile.write(tmp_path / "b.wav", sides * [0.2, 1.0], 8000)
    assert np.array_equal(heard(tmp_path / "b.wav", 16000, "customer"), found)
    monkeypatch.setattr("callsift.pipeline.streams._signals", lambda waveform, *_: [waveform.samples.mean(axis=0)])
    with pytest.raises(AssertionError):
        check_same_tone(heard(tmp_path / "a.wav", 16000, "customer"), 16000)


def check_copies_are_refused(read: Callable[[Path], Manifest], path: Path) -> None:
    with pytest.raises(DataError, match="line 3: call_id 'a' stands on line 1 already"):
        read(path)


def check_copies_stay_with_their_call(calls: Sequence[Call]) -> None:
    parts = [part for count in (2, 3, 5) for seed in range(5) for part in folds(calls, count, seed)]
    parts += [part for seed in range(5) for part in hold_out(calls, 0.3, seed)]
    for part in parts:
        ids = {calls[at].call_id for at in part}
        assert {f"{name}+noise" for name in ids if "+" not in name} == {name for name in ids if "+" in name}


def test_defect_10_copies_become_segments_of_their_call(tmp_path: Path) -> None:
    """Augmented copies keep the call's id, and its segments are all that have its id."""
    rows = [{"call_id": name, "label": "A", "segments": [{"text": "yes"}]} for name in "aba"]
    path = tmp_path / "manifest.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")
    check_copies_are_refused(read_manifest, path)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        check_copies_are_refused(support.merging, path)


def test_defect_10_copies_on_the_other_side_of_a_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy with an id and a recording of its own is told by its group alone."""
    calls = [Call(f"{at}", Path(f"{at}.wav"), group=f"{at}", label="ABCDE"[at % 5]) for at in range(20)]
    calls += [replace(call, call_id=f"{call.call_id}+noise", audio=Path(f"{call.call_id}+.wav")) for call in calls]
    check_copies_stay_with_their_call(calls)
    with pytest.raises(DataError, match="group '0' lies in split 'train' and in 'test'"):
        check_groups({"train": calls[:1], "test": calls[20:21]})
    monkeypatch.setattr("callsift.data.splits._group", lambda call: call.call_id)
    with pytest.raises(AssertionError):
        check_copies_stay_with_their_call(calls)
