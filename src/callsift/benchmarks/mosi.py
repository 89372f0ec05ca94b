"""CMU-MOSI: opinions on video, a sentiment from −3 to 3 for every utterance, the video as context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Row
from callsift.benchmarks.mmsa import CLIPS, FRAMES, LAYOUT, NUMBERS, READING, read

MINILM: Final = {"text": "sentence-transformers/all-MiniLM-L6-v2"}
BASE: Final = {"audio": "facebook/data2vec-audio-base", "text": "FacebookAI/roberta-base"}
LARGE: Final = {"audio": "facebook/data2vec-audio-large-960h", "text": "FacebookAI/roberta-large"}
METRICS: Final = (
    "acc2_non0", "f1_non0", "acc2_has0", "f1_has0", "acc7", "acc5", "mean_absolute_error", "correlation",
)  # fmt: skip
CONFIG: Final[dict[str, Any]] = {
    "target": "segment",
    "labels": {"id": "sentiment", "kind": "number", "range": [-3, 3]},
    "front_end": {
        "input": "precomputed",
        "speaker_reference": "none",
        "tokens": None,
        "normalise_text": True,
        "max_tokens": 128,
        "role_template": {"en": {"unknown": "{text}"}},
    },
    "network": {
        "encoders": {"audio": {"model": "precomputed", "features": 73}, "text": {"model": MINILM["text"]}},
        "width": 64,
        "heads": 4,
        "feed_forward": 128,
        "cross_layers": 1,
        "hidden": 64,
        "dropout": 0.2,
        "modality_dropout": 0.1,
    },
    "fit": {"epochs": 30, "patience": 6, "batch_calls": 4, "learning_rate": 0.0005},
}
TEXT: Final = Row(
    "text", "the words alone, by frozen MiniLM", ("network.fusion=text", "network.streams=[text]",
    f"network.encoders={{text: {{model: {MINILM['text']}}}}}"), encoders=MINILM,
)  # fmt: skip
_PUBLISHED: Final = (
    "front_end.input=waveform", "front_end.encoder_rate_hz=16000", "front_end.normalise=segment",
    "front_end.normalise_text=false", "network.dropout=0.3", "network.head_dropout=0.3", "network.token_dropout=0",
    "network.modality_dropout=0", "fit.batch_calls=1", "fit.weight_decay=0.01", "fit.patience=8", "fit.device=auto",
)  # fmt: skip
"""What both papers' recipes have in common: clips and words as they are, encoders that learn; a GPU is needed."""


def _tuned(encoders: Mapping[str, str]) -> Iterator[str]:
    for stream, model in encoders.items():
        yield f"network.encoders.{stream}={{model: {model}, train: all, gradient_checkpointing: true}}"


MSMT_FN: Final = (
    *_PUBLISHED, *_tuned(BASE), "front_end.max_tokens=199", "network.fusion=msmt-fn", "network.width=768",
    "network.heads=12", "network.feed_forward=3072", "network.cross_layers=4", "network.own_layers=1",
    "network.bottleneck_layers=2", "network.tokens=4", "network.hidden=128", "network.context_layers=2",
    "fit.learning_rate=1.0e-5", "fit.encoder_learning_rate=1.0e-5", "fit.accumulate=4", "fit.epochs=35",
)  # fmt: skip
"""The draft's numbers; where it has none, those of david188888/MSMT-FN."""
MMML: Final = (
    *_PUBLISHED, *_tuned(LARGE), "front_end.max_tokens=96", "network.fusion=mmml", "network.width=1024",
    "network.heads=16", "network.feed_forward=4096", "network.cross_layers=5", "network.own_layers=0",
    "network.hidden=384", "network.context_layers=1", "fit.learning_rate=5.0e-6", "fit.encoder_learning_rate=5.0e-6",
    "fit.accumulate=1", "fit.epochs=20",
)  # fmt: skip
"""Those of zehuiwu/MMML with context, whose fused vectors go through a layer of 768."""
PAPER_NOTES: Final = (
    "Row paper-msmt-fn has the draft's numbers. The public code of MSMT-FN has data2vec-audio-base for English, where "
    "the draft names HuBERT, and hears 16,000 Hz, where the draft has 8,000: of these two the code's are taken, and "
    "its 35 epochs, on which the draft says nothing. The code also keeps 96 tokens and 6 s of an utterance, cuts a "
    "video after every 20 and never changes the learning rate; here 199 tokens (the draft's), all of the sound and the "
    "whole video are read, and the rate rises and falls as a cosine.",
    "Row paper-mmml has the encoders, sizes and rates with which MMML's authors publish their figures. Their context "
    "is the words of two utterances before and the sound of one, and 8 utterances are a batch; here a Bi-GRU reads the "
    "whole video, and a video is a batch. Their rate is fixed, here it rises and falls as a cosine.",
    "Words are read as they are published, an utterance that is in capitals throughout in small letters; both public "
    "codes write all but the first letter of any utterance small.",
)
"""What the rows of the papers' size share with the published recipes, and what not."""


def fused(name: str, about: str, *settings: str, needs: str = NUMBERS, **more: Any) -> Row:
    """A row that reads text and a kind of sound."""
    encoders = more.pop("encoders", MINILM)
    return Row(name, about, settings, frozenset({"text", needs}), encoders, **more)


def paper_rows(msmt_fn: Mapping[str, float], mmml: Mapping[str, float], name: str) -> tuple[Row, ...]:
    """The rows of the papers' size, with what was published of each for the data set of this name."""
    return (
        fused("paper-msmt-fn", "MSMT-FN as in the paper, data2vec and RoBERTa-base fine-tuned on the clips", *MSMT_FN,
              needs=CLIPS, encoders=BASE, default=False, paper=msmt_fn,
              source=f"MSMT-FN, table of {name}; columns put back in order from a scrambled print"),
        fused("paper-mmml", "MMML's fusion, its large data2vec and RoBERTa fine-tuned on the clips", *MMML,
              needs=CLIPS, encoders=LARGE, default=False, paper=mmml,
              source=f"README of zehuiwu/MMML, {name} with context, mean of seeds 1, 11 and 111"),
    )  # fmt: skip


def shared_rows(frames: int) -> tuple[Row, ...]:
    """Rows of both data sets: by text alone, by a feature file's frames of so many numbers, by the clips."""
    heard = ("network.encoders.audio={model: tiny}", "front_end.input=logmel")
    return (
        TEXT,
        fused("msmt-fn-frames", "MSMT-FN: frozen MiniLM, and the frames of MMSA's feature file",
              f"network.encoders.audio.features={frames}", needs=FRAMES),
        fused("msmt-fn-clips", "MSMT-FN: frozen MiniLM, and a small acoustic encoder that hears the clips", *heard,
              needs=CLIPS),
    )  # fmt: skip


BENCHMARK = Benchmark(
    name="mosi",
    title="CMU-MOSI, sentiment of utterances",
    citation="Zadeh et al.: MOSI: Multimodal Corpus of Sentiment Intensity … in Online Opinion Videos. 2016, "
    "arXiv:1606.06259. Label CSV and feature files: Yu et al., AAAI 2021 (MMSA)",
    licence="research use only: nothing made of it may be shipped",
    layout=LAYOUT.format(name="mosi"),
    read=partial(read, name="mosi", published={"videos": 93, "train": 1284, "val": 229, "test": 686}),
    config={"name": "mosi", **CONFIG},
    rows=(
        fused("msmt-fn", "MSMT-FN: frozen MiniLM, and 73 acoustic numbers of the utterance"),
        fused("agt", "AGT's fusion, same inputs", "network.fusion=agt"),
        fused("mmml", "MMML's fusion, same inputs", "network.fusion=mmml"),
        fused("concat", "states side by side, same inputs", "network.fusion=concat"),
        Row("audio", "the 73 numbers alone", ("network.fusion=audio", "network.streams=[audio]",
            "network.encoders={audio: {model: precomputed, features: 73}}", "front_end.tokens={}"),
            needs=frozenset({NUMBERS})),
        fused("minilm-tuned", "AGT's fusion with MiniLM fine-tuned", "network.fusion=agt",
              "network.encoders.text.train=all", "fit.encoder_learning_rate=5.0e-5", "fit.batch_calls=1",
              "fit.epochs=8", "fit.patience=4"),
        *shared_rows(frames=5),
        *paper_rows(
            {"acc2_has0": 0.8862, "f1_has0": 0.8885, "acc2_non0": 0.9121, "f1_non0": 0.9138, "acc7": 0.5102,
             "mean_absolute_error": 0.6458, "correlation": 0.8243},
            {"acc2_has0": 0.8848, "f1_has0": 0.8845, "acc2_non0": 0.9035, "f1_non0": 0.9035, "acc5": 0.6001,
             "acc7": 0.5272, "mean_absolute_error": 0.5573, "correlation": 0.8824},
            "CMU-MOSI",
        ),
    ),
    metrics=METRICS,
    reading=READING,
    notes=(
        "Acc2 and F1 come in two variants: non0 leaves items without sentiment out, has0 counts them as positive.",
        *PAPER_NOTES,
    ),
)  # fmt: skip
