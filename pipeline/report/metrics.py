"""`metrics.json`: the numbers of a run for scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.report.summary import RunSummary


def metrics(summary: RunSummary) -> dict[str, Any]:
    """The document: None where a figure is undefined, such as the AUC of a domain with one class."""
    evaluation = summary.evaluation
    overall = evaluation.overall if evaluation else None
    return {
        "dataset": summary.dataset,
        "model": summary.model,
        "seed": summary.seed,
        "rows": {"train": summary.rows.get("train"), "eval": summary.rows.get("eval")},
        "eval_state": summary.eval_state,
        "average_auc": overall.average_auc if overall else None,
        "overall_auc": overall.auc if overall else None,
        "gauc": overall.gauc if overall else None,
        "log_loss": overall.log_loss if overall else None,
        "domains": {
            name: {
                "rows": domain.rows,
                "positives": domain.positives,
                "auc": domain.auc,
                "log_loss": domain.log_loss,
                "calibration": domain.calibration,
            }
            for name, domain in (evaluation.domains if evaluation else {}).items()
        },
        "blessed": summary.blessed,
        "reasons": summary.reasons,
        "pushed_to": summary.pushed_to,
        "seconds": summary.seconds,
    }


def write_metrics(summary: RunSummary, path: Path) -> None:
    """Writes `metrics.json`; a reader never sees half of it.

    Args:
      summary: the run.
      path: the file.
    """
    write_whole(path, json.dumps(metrics(summary), indent=1, allow_nan=False) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Writes a file at once: whoever opens it sees the old or the new text."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
