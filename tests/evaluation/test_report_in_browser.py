"""The page in a real browser, on a laptop and a phone, light and dark; and that the check would see a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report_in_browser import MODES, WIDTHS_PX, Tab, browser, look, main, opened
from callsift.evaluation.answered import read_rows
from callsift.evaluation.report import write_report
from callsift.evaluation.side_by_side import side_by_side
from callsift.evaluation.side_by_side_page import as_html
from tests.evaluation.report_sample import SAMPLES
from tests.evaluation.runs import graded_run
from tests.evaluation.test_answered import through

PROGRAM = browser() or ""
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROGRAM, reason="no Chromium on this machine")]


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with opened(PROGRAM) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name, made in SAMPLES.items():
        write_report(folder / f"{name}.html", made())
    return {name: folder / f"{name}.html" for name in SAMPLES}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("device", WIDTHS_PX)
def test_readable_on_laptop_and_phone_light_and_dark(pages: dict[str, Path], tab: Tab, device: str, mode: str) -> None:
    seen = look(tab, pages["whole"], device, mode, unfold=True)
    assert seen.wrong == []
    assert seen.picture.startswith(b"\x89PNG")


def test_every_kind_of_page_fits_a_phone(pages: dict[str, Path], tab: Tab) -> None:
    wrong = {name: look(tab, page, "phone", "light", unfold=True).wrong for name, page in pages.items()}
    assert wrong == {name: [] for name in pages}


def test_a_comparison_is_readable_everywhere(tmp_path: Path, tab: Tab) -> None:
    """Many rows of long names, and settings that differ: tables scroll by themselves, charts are seen whole."""
    random = np.random.default_rng(0)
    names = [f"row-{at}-of-a-training-with-{'quite_' * 4}a-long-name" for at in range(6)]
    for at, name in enumerate(names):
        answers = [(f"c{call}", "ABCDE"[call % 5], "ABCDE"[random.integers(5)]) for call in range(40)]
        graded_run(tmp_path / name, answers, settings=[f"fit.epochs={at + 1}"], train=["c1"])
    rows = read_rows([tmp_path / name for name in names], "test", through)
    made = {"callsift": "0", "date": "2026-01-01", "command": f"callsift compare {' '.join(names)}"}
    page = tmp_path / "compared.html"
    page.write_text(as_html(side_by_side(rows, "test", through, draws=20), made), "utf-8")
    furthest = "Math.max(...[...document.querySelectorAll('svg')].map(each => each.getBoundingClientRect().right))"
    for device, width_px in WIDTHS_PX.items():
        assert [look(tab, page, device, mode, unfold=True).wrong for mode in MODES] == [[]] * len(MODES)
        asked = tab.ask("Runtime.evaluate", expression=furthest, returnByValue=True)
        assert 0 < asked["result"]["value"] <= width_px


def test_a_bad_page_is_seen(tmp_path: Path, tab: Tab) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<!doctype html><title>x</title><meta charset="utf-8"><img src="missing.png"><div style="width:900px">x</div>'
        "<script>console.error('oh')</script>"
    )
    wrong = look(tab, page, "phone", "dark").wrong
    assert any(each.startswith("the page is 9") for each in wrong)
    assert any("oh" in each for each in wrong)
    assert any(each.endswith("missing.png") for each in wrong)
    assert main([str(page), "--pictures", str(tmp_path / "pictures")]) == 1
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4
