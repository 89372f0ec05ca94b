"""What all pages share: templates that escape and miss nothing, and text that any file can hold."""

from __future__ import annotations

import jinja2
import pytest

from callsift.pages import clock, environment, percent, printable, stylesheet


def test_text_is_escaped_and_a_missing_name_is_an_error() -> None:
    assert environment().from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("{{ y }}").render()


def test_templates_include_the_common_style() -> None:
    assert environment().from_string('{% include "pages/base.css" %}').render().strip() == stylesheet().strip()


def test_what_no_page_can_hold_is_shown_as_such() -> None:
    assert printable("a\x00b\ud800c\x1bd") == "a\ufffdb\ufffdc\ufffdd"
    assert printable("通话 😀\n\tü\u202e") == "通话 😀\n\tü\u202e"


def test_times_and_shares() -> None:
    assert [clock(each) for each in (None, 0.0, 59.99, 3600.0)] == ["–", "0:00", "0:59", "60:00"]
    assert [percent(each) for each in (None, 0.614, -0.05)] == ["–", "61\u00a0%", "−5\u00a0%"]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_colours_of_text_stand_out(mode: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 at least, of every ink on every ground."""
    css = stylesheet()
    dark = css.index("@media")
    part = css[:dark] if mode == "light" else css[dark : css.index("* {")]
    colours = dict(pair.strip().split(": ") for pair in part.split("{")[-1].split("}")[0].split(";") if "#" in pair)
    colours = {name.lstrip("-"): value for name, value in colours.items()}
    for ground in ("paper", "panel"):
        for ink in ("ink", "soft", "up", "down", "bar"):
            assert _contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert _contrast(colours["ink"], colours["alert-panel"]) >= 4.5
    for ink, back in (("ink", "bar"),):  # the darkest field of a confusion: 55 % of the bar's colour on the paper
        mixed = [round(0.55 * a + 0.45 * b) for a, b in zip(_rgb(colours[back]), _rgb(colours["paper"]), strict=True)]
        assert _contrast(colours[ink], "#" + "".join(f"{each:02x}" for each in mixed)) >= 4.5


def _rgb(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in _rgb(colour))]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_a_share_is_never_all_or_nothing_by_rounding() -> None:
    shares = (0.0, 1e-12, 0.004, 0.005, 0.5, 0.995, 0.996, 1 - 1e-12, 1.0)
    shown = ["0 %", "0 %", "<1 %", "<1 %", "50 %", ">99 %", ">99 %", "100 %", "100 %"]
    assert [percent(share).replace("\u00a0", " ") for share in shares] == shown
