"""Results as a page that stands alone, as JSON, and as a picture."""

from cmelt.evaluation.report.writing import write_report

__all__ = ["write_report"]
