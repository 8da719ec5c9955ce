"""Figures of a study: a metric along the axis, one line per model."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go

from pipeline.report.figures import DASHES, SERIES, SOFT, finish, label
from pipeline.report.numbers import figure
from pipeline.study.result import Cost, StudyResult

_HEIGHT = 320

Line = list[tuple[float | None, float | None]]


def auc_lines(result: StudyResult, group: str) -> dict[str, Any] | None:
    """AUC of the pairs within the domains of a group along the axis; bars: standard deviation over seeds."""
    points = [point for point in result.points if group in point.groups]
    lines: dict[str, Line] = {}
    for model in result.models:
        found = [result.of(point.name, group, model) for point in points]
        lines[model] = [
            (None, None) if one is None or one.auc.mean is None else (one.auc.mean, one.auc.sd)
            for one in found
        ]
    best = [point.groups[group].best for point in points]
    if None not in best:
        lines["best possible"] = [(value, None) for value in best]
    return _lines([point.label for point in points], lines, result.axis, "AUC within domains")


def cost_lines(
    result: StudyResult, title: str, value: Callable[[Cost], float | None]
) -> dict[str, Any] | None:
    """A cost of every model along the axis, on a logarithmic scale."""
    lines: dict[str, Line] = {}
    for model in result.models:
        costs = [point.costs.get(model) for point in result.points]
        lines[model] = [(None if cost is None else value(cost), None) for cost in costs]
    return _lines([point.label for point in result.points], lines, result.axis, title, logarithmic=True)


def _lines(
    names: list[str],
    lines: dict[str, Line],
    axis: str,
    title: str,
    logarithmic: bool = False,
) -> dict[str, Any] | None:
    chart = go.Figure()
    shown = {name: line for name, line in lines.items() if any(value is not None for value, _ in line)}
    if not shown:
        return None
    for number, (name, line) in enumerate(shown.items()):
        best = name == "best possible"
        colour = SOFT if best else SERIES[number % len(SERIES)]
        chart.add_scatter(
            x=list(range(len(names))),
            y=[value for value, _ in line],
            name=label(name, 40),
            mode="lines+markers",
            line={"color": colour, "dash": "dot" if best else DASHES[number % len(DASHES)], "width": 2},
            error_y={"type": "data", "array": [sd or 0 for _, sd in line], "color": colour, "thickness": 1.2},
            customdata=[f"{html.escape(name)}: {figure(value)}" for value, _ in line],
            hovertemplate="%{customdata}<extra></extra>",
        )
    return finish(
        chart,
        height=_HEIGHT,
        showlegend=True,
        legend={"orientation": "h", "y": -0.25},
        xaxis={
            "title": {"text": html.escape(axis)},
            "tickvals": list(range(len(names))),
            "ticktext": [label(name, 26) for name in names],
        },
        yaxis={"title": {"text": title}, "type": "log" if logarithmic else "linear"},
    )
