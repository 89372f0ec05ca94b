"""Charts as SVG text, to stand in a page or a file: bars and dots with intervals, lines with a band, reliability, gain.

Drawn by hand: no library, no fonts or scripts from elsewhere. Colours follow the reader's light or dark mode; a title
and a description stand in the picture for those who don't see it, so the description must say what it shows.
"""

from callsift.charts.bars import bar_chart, dot_chart
from callsift.charts.lines import line_chart
from callsift.charts.marks import Bar, Point
from callsift.charts.shares import Answers, gain_chart, reliability_chart

__all__ = ["Answers", "Bar", "Point", "bar_chart", "dot_chart", "gain_chart", "line_chart", "reliability_chart"]
