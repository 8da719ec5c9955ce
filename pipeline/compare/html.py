"""`comparison.html`: the comparison on one self-contained page, made of the same parts as a run's report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compare import story
from pipeline.compare.figures import auc_map, difference_plot
from pipeline.compare.result import Compared, Comparison
from pipeline.compare.table import spread
from pipeline.report.figures import dot_plot
from pipeline.report.metrics import write_whole
from pipeline.report.page import render

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_DOMAINS = 40


def comparison_page(comparison: Comparison) -> str:
    """The page as text."""
    reference = comparison.model(comparison.reference)
    tested = [model for model in comparison.models if model.versus is not None]
    return render(
        "comparison.html",
        TEMPLATES,
        title=f"{len(comparison.models)} models on {comparison.dataset}",
        comparison=comparison,
        reference=reference,
        lead=[" ".join(story.outcome(comparison)), story.equal_terms(comparison)],
        averages=_averages(comparison),
        differences=difference_plot(tested, reference.title) if tested else None,
        map=_map(comparison),
        hidden=max(0, len(comparison.domains) - SHOWN_DOMAINS),
        spread=spread,
        sizes=sorted({int(size) for model in comparison.models for size in model.latency}),
        first_place=comparison.models[0].name == comparison.reference,
        tuned=[model for model in comparison.models if model.trials],
        costs=_costs(comparison),
    )


def write_page(comparison: Comparison, path: Path) -> None:
    """Writes the page; a reader never sees half of it.

    Args:
      comparison: the result.
      path: the file.
    """
    write_whole(path, comparison_page(comparison))


def _averages(comparison: Comparison) -> dict[str, Any] | None:
    """Average AUC of each model with its standard deviation over seeds."""
    values = [model.average_auc.mean for model in comparison.models]
    if all(value is None for value in values):
        return None
    plot = dot_plot(
        [model.title for model in comparison.models],
        values,
        spread=[model.average_auc.sd for model in comparison.models],
        strong=[model.name == comparison.reference for model in comparison.models],
        notes=[f"{spread(model.average_auc)} over the seeds" for model in comparison.models],
        line=comparison.best_possible_average_auc,
        line_name="best possible",
        title="average AUC",
    )
    # Models of one comparison lie close together: the axis shows them, not the whole way from chance.
    best = comparison.best_possible_average_auc
    known = [value for value in [*values, best] if value is not None]
    around = max([model.average_auc.sd or 0.0 for model in comparison.models]) + 0.1 * np.ptp(known) + 0.001
    plot["layout"]["xaxis"]["range"] = [min(known) - around, max(known) + around]
    return plot


def _map(comparison: Comparison) -> dict[str, Any]:
    names = list(comparison.domains)[:SHOWN_DOMAINS]
    return auc_map(
        [model.title for model in comparison.models],
        names,
        [[model.domain_auc.get(name) for name in names] for model in comparison.models],
        [comparison.domains[name].rows for name in names],
        [comparison.domains[name].counts for name in names],
        comparison.domain or "domain",
    )


def _costs(comparison: Comparison) -> list[Compared]:
    return sorted(comparison.models, key=lambda model: -model.rows_per_second)
