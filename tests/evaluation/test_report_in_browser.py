"""The page in a real browser, on a laptop and a phone, light and dark; and that the check would see a bad one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.report_in_browser import MODES, WIDTHS_PX, Tab, browser, look, main, opened
from callsift.evaluation.report import write_report
from tests.evaluation.report_sample import SAMPLES

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
