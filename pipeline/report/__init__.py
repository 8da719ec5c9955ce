"""What a run leaves for people and scripts: `metrics.json`, a table on the terminal, one HTML page."""

from pipeline.report.html import write_report
from pipeline.report.metrics import write_metrics
from pipeline.report.summary import RunSummary
from pipeline.report.terminal import print_summary

__all__ = ["RunSummary", "print_summary", "write_metrics", "write_report"]
