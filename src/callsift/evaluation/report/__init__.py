"""The page of an evaluation, drawn from its JSON: `page` as a whole, `words` its sentences, `figures` its tables and
pictures, `calls` the calls that it shows, `reading` how its figures are read. Templates lie beside them.
"""

from callsift.evaluation.report.page import page_of, write_report

__all__ = ["page_of", "write_report"]
