"""Bars for counts: lines of text for a terminal, and one page with an SVG drawing for everybody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

BAR_CELLS = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"
_ROW_PX, _LABEL_PX, _BAR_PX, _COUNT_PX = 26, 150, 420, 130


def bar_lines(counts: Mapping[str, int]) -> list[str]:
    """A line with name, bar, count and share for each; the longest bar is the largest count."""
    total, most = sum(counts.values()), max(counts.values(), default=0)
    width = max(map(len, counts), default=0)
    digits = len(str(most))
    return [
        f"  {name:<{width}} {_bar(count / most if most else 0.0):<{BAR_CELLS}} {count:>{digits}}  {count / total:6.1%}"
        for name, count in counts.items()
    ]


def _bar(share: float) -> str:
    eighths = round(share * BAR_CELLS * 8)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def bar_svg(title: str, counts: Mapping[str, int]) -> str:
    """The same as an SVG drawing, readable without colours."""
    total, most = max(sum(counts.values()), 1), max(counts.values(), default=1) or 1
    width, height = _LABEL_PX + _BAR_PX + _COUNT_PX, _ROW_PX * (len(counts) + 1)
    rows = []
    for at, (name, count) in enumerate(counts.items(), start=1):
        top = at * _ROW_PX
        rows.append(
            f'<text x="{_LABEL_PX - 8}" y="{top + 17}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{_LABEL_PX}" y="{top + 4}" width="{count / most * _BAR_PX:.1f}" height="{_ROW_PX - 8}" '
            f'fill="#4878a8"/><text x="{_LABEL_PX + count / most * _BAR_PX + 8:.1f}" y="{top + 17}">'
            f"{count} ({count / total:.1%})</text>"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="sans-serif" font-size="13"><title>{escape(title)}</title>'
        f'<text x="0" y="17" font-weight="bold">{escape(title)}</text>{"".join(rows)}</svg>'
    )


def page(title: str, summary: Sequence[str], charts: Mapping[str, Mapping[str, int]], problems: Sequence[str]) -> str:
    """A self-contained HTML page: sentences, a chart for each set of counts, and the problems."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in summary)
    drawn = "".join(f"<div>{bar_svg(name, counts)}</div>" for name, counts in charts.items() if counts)
    found = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    wrong = f"<h2>Problems</h2><ol>{found}</ol>" if problems else "<p>No problems found.</p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{font-family:sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
        "div{margin:1rem 0;overflow-x:auto}</style></head>"
        f"<body><h1>{escape(title)}</h1>{lines}{drawn}{wrong}</body></html>\n"
    )
