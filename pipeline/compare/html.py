"""`comparison.html`: the comparison on one self-contained page, made of the same parts as a run's report."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.comparison.lead import NARROW
from pipeline.compare import story
from pipeline.compare.figures import auc_map, average_plot, difference_plot
from pipeline.compare.result import Compared, Comparison
from pipeline.compare.ship import advice
from pipeline.compare.table import WORDS, spread
from pipeline.layout import RunLayout
from pipeline.report.metrics import write_whole
from pipeline.report.page import render

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_DOMAINS = 40


def comparison_page(comparison: Comparison) -> str:
    """The page as text."""
    reference = comparison.model(comparison.reference)
    tested = [(model.title, model.versus) for model in comparison.models if model.versus is not None]
    rivals = [model for model in comparison.models if model.versus is not None and model.versus.domains]
    shown = [name for name, domain in comparison.domains.items() if domain.counts][:SHOWN_DOMAINS]
    return render(
        "comparison.html",
        TEMPLATES,
        title=f"{len(comparison.models)} models on {comparison.dataset}",
        comparison=comparison,
        reference=reference,
        lead=[" ".join(story.outcome(comparison)), story.equal_terms(comparison), advice(comparison)],
        averages=average_plot(
            [(model.title, model.average_auc) for model in comparison.models],
            strong=[model.name == comparison.reference for model in comparison.models],
            best=comparison.best_possible_average_auc,
        ),
        differences=difference_plot(tested, reference.title) if tested else None,
        map=_map(comparison),
        rivals=rivals,
        words=WORDS,
        narrow=f"{NARROW:g}",
        has_p=any(found.seed_p_value is not None for _, found in tested),
        leads=shown if rivals else [],
        hidden=max(0, len(comparison.domains) - SHOWN_DOMAINS),
        spread=spread,
        sizes=sorted({int(size) for model in comparison.models for size in model.latency}),
        champion=story.champion_words(comparison),
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


def set_aside(layout: RunLayout, names: Sequence[str]) -> Path | None:
    """Renames the root's earlier comparison where it holds models that this one lacks; its page's new place."""
    try:
        earlier = Comparison.model_validate_json(layout.comparison.read_text())
    except (OSError, ValueError):
        return None
    if {model.name for model in earlier.models} <= set(names):
        return None
    stamp = re.sub(r"\D", "", earlier.created[:19])
    for path in (layout.comparison, layout.comparison_page):
        if path.exists():
            path.rename(path.with_stem(f"{path.stem}-{stamp}"))
    return layout.comparison_page.with_stem(f"{layout.comparison_page.stem}-{stamp}")


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
