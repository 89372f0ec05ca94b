"""The charts of `callsift.charts`, under their earlier name."""

from callsift.charts import Bar, Point, bar_chart, line_chart

__all__ = ["Bar", "Point", "bar_chart", "line_chart"]
