"""The start of the text encoder: what goes together in the calls, known without labels."""

from __future__ import annotations

import numpy as np
import torch

from callsift.labels import load_scheme
from callsift.training.batches import Example, labelled_example
from callsift.training.start import latent_embeddings
from callsift.types import CallInputs, StreamInput

SCHEME = load_scheme("donation")
TOPICS = (range(1, 40), range(40, 80))


def _example(call_id: str, ids: np.ndarray) -> Example:
    inputs = CallInputs(call_id, ({"text": StreamInput(ids.reshape(-1, 2)), "audio": None}, {"text": None}))
    return labelled_example(inputs, {"": "yes"}, SCHEME)


def _two_topics(calls: int = 60) -> list[Example]:
    """Half of the calls talk with n-grams 1–39, half with 40–79; 90 is said by all, 91 by one."""
    random = np.random.default_rng(0)
    examples = []
    for at in range(calls):
        ids = random.choice(np.array(TOPICS[at % 2]), 60)
        ids[:6] = 90
        ids[6] = 91 if at == 0 else ids[6]
        examples.append(_example(str(at), ids))
    return examples


def test_ngrams_of_one_topic_point_the_same_way() -> None:
    torch.manual_seed(0)
    found = latent_embeddings(_two_topics(), buckets=128, width=4)
    assert found is not None
    assert found.shape == (128, 4)
    first = torch.nn.functional.normalize(found[:, :2], dim=1)
    ours = torch.stack([first[list(topic)].mean(dim=0) for topic in TOPICS])
    assert torch.cosine_similarity(ours[0], ours[1], dim=0) < 0
    assert torch.linalg.norm(ours, dim=1).min() > 0.7


def test_what_is_never_said_or_by_one_call_alone_starts_at_zero() -> None:
    found = latent_embeddings(_two_topics(), buckets=128, width=4)
    assert found is not None
    assert not found[0].any()
    assert not found[91].any()
    assert not found[100].any()
    assert found[90].any()


def test_what_is_said_is_centred_and_of_size_one() -> None:
    examples = _two_topics()
    found = latent_embeddings(examples, buckets=128, width=4)
    assert found is not None
    ids = np.concatenate([e.inputs.segments[0]["text"].values.ravel() for e in examples])  # type: ignore[union-attr]
    said = found[torch.from_numpy(ids[ids != 91])]
    assert torch.allclose(said.mean(dim=0), torch.zeros(4), atol=1e-4)
    assert torch.isclose(said.square().mean(), torch.tensor(1.0), atol=1e-3)


def test_too_few_calls_are_left_to_a_random_start() -> None:
    assert latent_embeddings(_two_topics(4), buckets=128, width=8) is None
    assert latent_embeddings([_example("x", np.zeros(0, np.int64))], 128, 4) is None
