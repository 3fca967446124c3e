"""report.html: one page that opens anywhere, offline, and shows what a run did."""

from jaxcv.train.report.page import write_report

__all__ = ['write_report']
