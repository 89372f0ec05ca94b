"""CMU-MOSI: opinions on video, a sentiment from −3 to 3 for every utterance, the video as context."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from callsift.benchmarks.benchmark import Benchmark, Row
from callsift.benchmarks.mmsa import CLIPS, FRAMES, LAYOUT, NUMBERS, READING, read

MINILM: Final = {"text": "sentence-transformers/all-MiniLM-L6-v2"}
LARGE: Final = {"audio": "facebook/data2vec-audio-base-960h", "text": "FacebookAI/roberta-large"}
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
PAPER_SIZE: Final = (
    "front_end.input=waveform", "front_end.encoder_rate_hz=16000", "front_end.normalise=segment",
    "front_end.max_tokens=199",
    f"network.encoders.audio={{model: {LARGE['audio']}, train: all, gradient_checkpointing: true}}",
    f"network.encoders.text={{model: {LARGE['text']}, train: all, gradient_checkpointing: true}}",
    "network.width=768", "network.heads=12", "network.feed_forward=3072", "network.cross_layers=4",
    "network.hidden=128", "network.context_layers=2", "network.head_dropout=0.3",
    "fit.learning_rate=1.0e-5", "fit.encoder_learning_rate=1.0e-5", "fit.batch_calls=1", "fit.accumulate=4",
    "fit.patience=8", "fit.device=auto",
)  # fmt: skip
"""The paper's network and loop, encoders fine-tuned; a GPU is needed."""


def fused(name: str, about: str, *settings: str, needs: str = NUMBERS, **more: Any) -> Row:
    """A row that reads text and a kind of sound."""
    encoders = more.pop("encoders", MINILM)
    return Row(name, about, settings, frozenset({"text", needs}), encoders, **more)


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
        fused("paper-msmt-fn", "MSMT-FN as in the paper, data2vec and RoBERTa-large fine-tuned on the clips",
              *PAPER_SIZE, needs=CLIPS, encoders=LARGE, default=False,
              paper={"acc2_has0": 0.8862, "f1_has0": 0.8885, "acc2_non0": 0.9121, "f1_non0": 0.9138, "acc7": 0.5102,
                     "mean_absolute_error": 0.646, "correlation": 0.824},
              source="MSMT-FN, table of MOSI; columns put back in order from a scrambled print"),
        fused("paper-mmml", "MMML's fusion at the same size", "network.fusion=mmml", *PAPER_SIZE, needs=CLIPS,
              encoders=LARGE, default=False,
              paper={"acc2_non0": 0.9035, "mean_absolute_error": 0.557, "correlation": 0.882},
              source="MMML, large encoders with context"),
    ),
    metrics=METRICS,
    reading=READING,
    notes=("Acc2 and F1 come in two variants: non0 leaves items without sentiment out, has0 counts them as positive.",),
)  # fmt: skip
