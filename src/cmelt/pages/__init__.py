"""What every page that we write has: one file with everything in it, light and dark, on a phone and on paper."""

from cmelt.pages.bars import Bar, bar_chart, histogram
from cmelt.pages.document import document, facts, html_table, table
from cmelt.pages.markdown import markdown_table
from cmelt.pages.notice import NOTICE

__all__ = ["NOTICE", "Bar", "bar_chart", "document", "facts", "histogram", "html_table", "markdown_table", "table"]
