"""Figures of a comparison: the map of AUCs by model and domain, the differences to the reference."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from pipeline.compare.result import Spread, Versus
from pipeline.compare.table import spread
from pipeline.report.figures import SOFT, dot_plot, finish, label, upright_title
from pipeline.report.numbers import count, figure, signed

_ROW = 28
# Lowest and highest difference to the column's median that has a colour of its own.
_LIMIT = 0.02
_WRITTEN = 16
_SCALE = [[0.0, "var(--c2)"], [0.5, "var(--card)"], [1.0, "var(--c1)"]]


def auc_map(
    models: Sequence[str],
    domains: Sequence[str],
    values: Sequence[Sequence[float | None]],
    rows: Sequence[int],
    counts: Sequence[bool],
    domain_title: str,
    name_length: int = 12,
) -> dict[str, Any]:
    """AUC by model (row) and domain (column), coloured by the distance to the column's median.

    Args:
      models: titles, best first.
      domains: values of the domain, most rows first.
      values: AUC, a row per model; None where a domain has one class.
      rows: evaluation rows of each domain.
      counts: whether a domain counts in the average.
      domain_title: the name of the domain's column.
      name_length: where names are cut.
    """
    grid = np.array([[np.nan if v is None else v for v in line] for line in values], float)
    known = ~np.isnan(grid).all(axis=0)
    middle = np.full(grid.shape[1], np.nan)
    middle[known] = np.nanmedian(grid[:, known], axis=0)
    away = grid - middle
    written = len(domains) <= _WRITTEN
    chart = go.Figure(
        go.Heatmap(
            z=[[None if np.isnan(v) else float(v) for v in line] for line in away],
            x=list(range(len(domains))),
            y=list(range(len(models))),
            zmin=-_LIMIT,
            zmax=_LIMIT,
            colorscale=_SCALE,
            xgap=1,
            ygap=1,
            text=[[_cell(v) for v in line] for line in grid] if written else None,
            texttemplate="%{text}" if written else None,
            customdata=[
                [
                    f"{html.escape(model)}, {html.escape(domain_title)} {html.escape(domain)} "
                    f"({count(rows[d])} rows): {_figure(grid[m, d])}"
                    for d, domain in enumerate(domains)
                ]
                for m, model in enumerate(models)
            ],
            hovertemplate="%{customdata}, %{z:+.4f} from the median<extra></extra>",
            colorbar={
                "thickness": 12,
                "outlinewidth": 0,
                # Of a few models the figure is too low for a scale of its height.
                "lenmode": "pixels",
                "len": max(90, 0.9 * _ROW * len(models)),
                "nticks": 5 if len(models) > 4 else 3,
                "title": {"text": "AUC from the median"},
            },
        )
    )
    names = [
        label(name, name_length)
        if counted
        else f"<span style='opacity: 0.5'>{label(name, name_length)}</span>"
        for name, counted in zip(domains, counts, strict=True)
    ]
    return finish(
        chart,
        height=_ROW * len(models) + 120,
        xaxis={
            "tickvals": list(range(len(domains))),
            "ticktext": names,
            "title": upright_title(html.escape(domain_title)),
            "showgrid": False,
            "tickangle": -90 if max(map(len, domains), default=0) > 4 else 0,
        },
        yaxis={
            "tickvals": list(range(len(models))),
            "ticktext": [label(model) for model in models],
            "autorange": "reversed",
            "showgrid": False,
        },
    )


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}".lstrip("0")


def _figure(value: float) -> str:
    return figure(None if np.isnan(value) else float(value))


def average_plot(
    averages: Sequence[tuple[str, Spread]],
    *,
    strong: Sequence[bool],
    best: float | None = None,
) -> dict[str, Any] | None:
    """Average AUC of each model with its standard deviation over seeds; `None` where none has one.

    Args:
      averages: titles, best first, and what each reached.
      strong: which are drawn full.
      best: the best possible, a line across all.
    """
    values = [value.mean for _, value in averages]
    if all(value is None for value in values):
        return None
    plot = dot_plot(
        [title for title, _ in averages],
        values,
        spread=[value.sd for _, value in averages],
        strong=strong,
        notes=[f"{spread(value)} over the seeds" for _, value in averages],
        line=best,
        line_name="best possible",
        title="average AUC",
    )
    # Models of one comparison lie close together: the axis shows them, not the whole way from chance.
    known = [value for value in [*values, best] if value is not None]
    around = max([value.sd or 0.0 for _, value in averages]) + 0.1 * np.ptp(known) + 0.001
    plot["layout"]["xaxis"]["range"] = [min(known) - around, max(known) + around]
    return plot


def difference_plot(models: Sequence[tuple[str, Versus]], reference: str) -> dict[str, Any]:
    """The reference minus each model in average AUC, with the bootstrap's 95 % interval; to the right it is ahead.

    Args:
      models: titles, and the reference against each.
      reference: its title.
    """
    rows = list(range(len(models)))
    chart = go.Figure()
    for row, (title, found) in enumerate(models):
        colour = {"ahead": "var(--c1)", "behind": "var(--c2)"}.get(found.verdict, SOFT)
        chart.add_scatter(
            x=[found.difference],
            y=[row],
            mode="markers",
            marker={"size": 10, "color": colour},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [found.high - found.difference],
                "arrayminus": [found.difference - found.low],
                "color": colour,
                "thickness": 1.6,
                "width": 0,
            },
            customdata=[
                f"{html.escape(reference)} against {html.escape(title)}: {signed(found.difference)} "
                f"[{signed(found.low)}, {signed(found.high)}]"
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )
    chart.add_vline(x=0, line={"color": SOFT, "width": 1, "dash": "dash"})
    return finish(
        chart,
        height=_ROW * len(models) + 100,
        xaxis={"title": upright_title(f"{html.escape(reference)} ahead by (average AUC)")},
        yaxis={
            "tickvals": rows,
            "ticktext": [label(title) for title, _ in models],
            "range": [len(models) - 0.4, -0.6],
            "showgrid": False,
        },
    )
