"""The rows of `callsift ablate`: each changes what it says, and those without sense are left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from callsift.data.manifest import read_manifest
from callsift.errors import UsageError
from callsift.labels import load_scheme
from callsift.training.studies.ablate import ROWS, ablation, free_row
from callsift.training.studies.plan import Design
from tests.training.dialogues import SETTINGS, dialogues


def test_every_row_changes_what_it_says(demo: Path) -> None:
    made = ablation(read_manifest(demo / "manifest.jsonl").calls, Path("unused"), Design(3))
    rows = {row.name: row.config for row in made.rows}
    assert set(rows) == set(ROWS) - {"no-augmentation"}
    assert rows["augmentation"].augment.on
    assert rows["silence-removed"].front_end.silence == "remove"
    assert rows["no-bottleneck"].network.bottleneck_layers == 0
    assert rows["no-context"].network.context == "none"
    assert (rows["audio-off"].network.streams, rows["audio-off"].network.fusion) == (("text",), "text")
    assert (rows["text-off"].network.streams, rows["text-off"].network.fusion) == (("audio",), "audio")
    assert list(load_scheme(rows["no-multi-task"].labels).tasks) == ["five"]
    both = rows["no-bottleneck-no-multi-task"]
    assert (both.network.bottleneck_layers, len(load_scheme(both.labels).tasks)) == (0, 1)
    assert made.notes == ("Row no-augmentation is left out: the settings vary no calls.",)


def test_rows_without_sense_are_left_out_in_a_sentence() -> None:
    settings = [*SETTINGS, "augment=paper"]
    made = ablation(dialogues(), Path("unused"), Design(3), settings=settings)
    assert [row.name for row in made.rows] == ["full", "no-augmentation", "no-bottleneck", "no-context"]
    assert "Row silence-removed is left out: no recording is heard, and text has no pauses." in made.notes
    assert "Row no-multi-task is left out: label scheme 'donation' has one task." in made.notes
    assert not next(row for row in made.rows if row.name == "no-augmentation").config.augment.on


def test_rows_of_ones_own() -> None:
    assert free_row("wide:network.width=64,network.streams=[text,audio]") == (
        "wide",
        ["network.width=64", "network.streams=[text,audio]"],
    )
    for wrong in ("wide", "wide:", ":a=1", "../up:a=1", "a b:a=1"):
        with pytest.raises(UsageError, match="NAME:key=value"):
            free_row(wrong)
    with pytest.raises(UsageError, match="row 'full' already"):
        ablation(dialogues(), Path("unused"), Design(3), settings=SETTINGS, free=["full:fit.epochs=1"])
    with pytest.raises(UsageError, match="row 'nothing' is unknown"):
        ablation(dialogues(), Path("unused"), Design(3), settings=SETTINGS, names=["nothing"])
    with pytest.raises(UsageError, match="row 'odd': .*network.width"):
        ablation(dialogues(), Path("unused"), Design(3), settings=SETTINGS, free=["odd:network.width=3"])
