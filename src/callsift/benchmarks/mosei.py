"""CMU-MOSEI: as CMU-MOSI, ten times larger. The split is MMSA's, of 22,856 of the 23,453 utterances."""

from __future__ import annotations

from functools import partial

from callsift.benchmarks.benchmark import Benchmark
from callsift.benchmarks.mmsa import CLIPS, LAYOUT, READING, read
from callsift.benchmarks.mosi import CONFIG, LARGE, METRICS, PAPER_SIZE, fused, shared_rows

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
        fused("paper-msmt-fn", "MSMT-FN as in the paper, data2vec and RoBERTa-large fine-tuned on the clips",
              *PAPER_SIZE, needs=CLIPS, encoders=LARGE, default=False,
              paper={"acc2_has0": 0.8615, "f1_has0": 0.8614, "acc2_non0": 0.8702, "f1_non0": 0.8716, "acc7": 0.5558,
                     "mean_absolute_error": 0.506, "correlation": 0.797},
              source="MSMT-FN, table of MOSEI; columns put back in order from a scrambled print"),
        fused("paper-mmml", "MMML's fusion at the same size", "network.fusion=mmml", *PAPER_SIZE, needs=CLIPS,
              encoders=LARGE, default=False, paper={"acc2_non0": 0.8822, "mean_absolute_error": 0.507},
              source="MMML, large encoders with context"),
    ),
    metrics=METRICS,
    reading=READING,
    notes=(
        "The publishers count 23,453 utterances; MMSA's labels, which nearly all papers use, hold 22,856 of them.",
        "Acc2 and F1 come in two variants: non0 leaves items without sentiment out, has0 counts them as positive.",
    ),
)  # fmt: skip
