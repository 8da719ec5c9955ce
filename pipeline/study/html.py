"""`study.html`: the study on one self-contained page."""

from __future__ import annotations

from pathlib import Path

from pipeline.compare.table import spread
from pipeline.report.metrics import write_whole
from pipeline.report.page import render
from pipeline.study.figures import auc_lines, cost_lines
from pipeline.study.result import StudyResult
from pipeline.study.story import outcome

TEMPLATES = Path(__file__).parent / "templates"


def study_page(result: StudyResult) -> str:
    """The page as text."""
    sizes = sorted(
        {int(size) for point in result.points for cost in point.costs.values() for size in cost.latency}
    )
    return render(
        "study.html",
        TEMPLATES,
        title=result.question,
        result=result,
        lead=outcome(result),
        plots=[(group, plot) for group in result.groups if (plot := auc_lines(result, group)) is not None],
        costs=[
            (title, plot)
            for title, plot in (
                ("training rows a second", cost_lines(result, "rows a second", lambda c: c.rows_per_second)),
                (
                    f"milliseconds for {sizes[-1]} rows" if sizes else "",
                    cost_lines(
                        result,
                        "median ms",
                        lambda c: c.latency[str(sizes[-1])].median_ms if c.latency else None,
                    )
                    if sizes
                    else None,
                ),
            )
            if plot is not None
        ],
        sizes=sizes,
        spread=spread,
    )


def write_page(result: StudyResult, path: Path) -> None:
    """Writes the page; a reader never sees half of it.

    Args:
      result: of the study.
      path: the file.
    """
    write_whole(path, study_page(result))
