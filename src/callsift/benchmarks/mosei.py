"""CMU-MOSEI: as CMU-MOSI, ten times larger. The split is MMSA's, of 22,856 of the 23,453 utterances."""

from __future__ import annotations

from functools import partial

from callsift.benchmarks.benchmark import Benchmark
from callsift.benchmarks.mmsa import LAYOUT, READING, read
from callsift.benchmarks.mosi import CONFIG, METRICS, PAPER_NOTES, paper_rows, shared_rows

FRAMES_WIDTH = 74

_AUDIO = {"model": "precomputed", "features": FRAMES_WIDTH}
_NETWORK = {**CONFIG["network"], "encoders": {**CONFIG["network"]["encoders"], "audio": _AUDIO}}

BENCHMARK = Benchmark(
    name="mosei",
    title="CMU-MOSEI, sentiment of utterances",
    citation="Zadeh et al.: Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset. ACL 2018, P18-1208. Label CSV "
    "and feature files: Yu et al., AAAI 2021 (MMSA)",
    licence="research use only: nothing made of it may be shipped",
    layout=LAYOUT.format(name="mosei"),
    read=partial(read, name="mosei", published={"train": 16326, "val": 1871, "test": 4659}),
    config={"name": "mosei", **CONFIG, "network": _NETWORK},
    rows=(
        *shared_rows(FRAMES_WIDTH),
        *paper_rows(
            {"acc2_has0": 0.8615, "f1_has0": 0.8614, "acc2_non0": 0.8702, "f1_non0": 0.8716, "acc7": 0.5558,
             "mean_absolute_error": 0.5061, "correlation": 0.7972},
            {"acc2_has0": 0.8636, "f1_has0": 0.8642, "acc2_non0": 0.8822, "f1_non0": 0.8804, "acc5": 0.5745,
             "acc7": 0.5477, "mean_absolute_error": 0.5072, "correlation": 0.8142},
            "CMU-MOSEI",
        ),
    ),
    metrics=METRICS,
    reading=READING,
    notes=(
        "The publishers count 23,453 utterances; MMSA's labels, which nearly all papers use, hold 22,856 of them.",
        "Acc2 and F1 come in two variants: non0 leaves items without sentiment out, has0 counts them as positive.",
        "Of a feature file the acoustic frames alone are read, and from where they lie: not its 13 GB have to fit into "
        "memory, but the frames without padding.",
        *PAPER_NOTES,
    ),
)  # fmt: skip
