"""What runs left behind, on a page: one HTML file that asks nothing of any network. Reads records; knows neither torch nor training."""

from steepest.report.page import report, stories
from steepest.report.reading import ReportError
from steepest.report.tables import FORMATS, table

__all__ = ["FORMATS", "ReportError", "report", "stories", "table"]
