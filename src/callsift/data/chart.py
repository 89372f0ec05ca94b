"""Bars for counts: lines of text for a terminal, and one page with an SVG drawing for everybody else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from callsift.charts import Bar, bar_chart
from callsift.pages import stylesheet

BAR_CELLS = 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


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
    total = max(sum(counts.values()), 1)
    bars = [Bar(name, count, text=f"{count} ({count / total:.1%})") for name, count in counts.items()]
    return bar_chart(title, f"{title}: " + ", ".join(f"{bar.label} {bar.text}" for bar in bars), bars)


def page(title: str, summary: Sequence[str], charts: Mapping[str, Mapping[str, int]], problems: Sequence[str]) -> str:
    """A self-contained HTML page: sentences, a chart for each set of counts, and the problems."""
    lines = "".join(f"<p>{escape(line)}</p>" for line in summary)
    drawn = "".join(f"<div>{bar_svg(name, counts)}</div>" for name, counts in charts.items() if counts)
    found = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    wrong = f"<h2>Problems</h2><ol>{found}</ol>" if problems else "<p>No problems found.</p>"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{stylesheet()}body{{max-width:48rem}}div{{margin:1rem 0}}</style></head>"
        f"<body><h1>{escape(title)}</h1>{lines}{drawn}{wrong}</body></html>\n"
    )
