"""What every HTML page of callsift has in common: one style, safe templates, and how times and shares are written.

A page is one file: no script, nothing fetched, so that it opens from a disk and can be sent by mail. Templates lie
beside the code that fills them and are named by their path in the package; `pages/base.css` is theirs to include.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import jinja2

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")
_NO_BREAK = "\u00a0"
_ALIKE = 1e-9


@cache
def environment() -> jinja2.Environment:
    """Templates of the package; text is escaped, and a name that is not there is an error."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("callsift", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"clock": clock, "percent": percent}
    return found


def stylesheet() -> str:
    """What every page's style begins with."""
    return (files("callsift") / "pages" / "base.css").read_text("utf-8")


def printable(page: str) -> str:
    """The page without what HTML and UTF-8 can't hold (control characters, halves of a character), shown as `�`."""
    return _UNPRINTABLE.sub("\ufffd", page).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def clock(seconds: float | None) -> str:
    """Seconds as `m:ss`.

    >>> clock(83.9)
    '1:23'
    """
    return "–" if seconds is None else f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def percent(share: float | None) -> str:
    """A share as `61 %`, its parts never on two lines; `<1 %` and `>99 %` where rounding would make it none or all."""
    if share is None:
        return "–"
    shown = f"{100.0 * share:.0f}"
    if shown == "0" and share > _ALIKE:
        shown = "<1"
    elif shown == "100" and share < 1.0 - _ALIKE:
        shown = ">99"
    return f"{shown}{_NO_BREAK}%".replace("-", "−")
