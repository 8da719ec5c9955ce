"""`report.html`: a run on one page, for whoever trained the model and for whoever must trust it."""

from __future__ import annotations

from pathlib import Path

from pipeline.report import quality, reasons, sections, story, studied
from pipeline.report.metrics import write_whole
from pipeline.report.next_steps import after_push
from pipeline.report.page import render
from pipeline.report.summary import RunSummary


def report_page(summary: RunSummary) -> str:
    """The page as text.

    Args:
      summary: the run; parts that it lacks are left out.
    """
    evaluation = summary.evaluation
    words: list[str] = []
    if evaluation is not None:
        words = [*story.quality_sentences(evaluation), *story.comparison_sentences(summary)]
    return render(
        "report.html",
        title=f"{summary.model_title} on {summary.dataset}",
        summary=summary,
        verdict=story.verdict(summary),
        lead=[
            " ".join([story.data_sentence(summary), *story.decision_sentences(summary)]),
            " ".join([*words, "\n".join(after_push(summary))]),
            " ".join(story.weakness_sentences(summary)),
        ],
        tiles=quality.tiles(summary),
        systems=studied.systems(summary),
        domains=quality.domain_section(summary),
        weak=reasons.weakest(summary),
        calibration=studied.calibration_section(summary),
        groups=studied.groups_section(summary),
        importance=studied.importance_section(summary),
        days=studied.days_section(summary),
        studied=studied.studied_rows(summary.study) if summary.study else "",
        training=sections.training_section(summary.history),
        averages=sections.averages_section(summary.moving_averages, summary.eval_state, summary.train_state),
        integration=sections.integration_section(summary),
        data=sections.data_section(summary),
        cost=sections.cost_section(summary),
    )


def write_report(summary: RunSummary, path: Path) -> None:
    """Writes the page; a reader never sees half of it.

    Args:
      summary: the run.
      path: the file.
    """
    write_whole(path, report_page(summary))
