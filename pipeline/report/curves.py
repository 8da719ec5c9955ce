"""Figures of change and of spread: curves over epochs and days, histograms, one dot per name."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly import subplots

from pipeline.report.figures import DASHES, GRID, INK, SERIES, SOFT, finish
from pipeline.report.numbers import count


def training_curves(
    epochs: Sequence[str],
    loss: Sequence[float | None],
    auc: Sequence[float | None],
    *,
    refits: Sequence[bool],
    best: int | None,
) -> dict[str, Any]:
    """Loss above, validation below, over the epochs.

    Args:
      epochs: their names.
      loss, auc: of each; None where there is none.
      refits: which epochs belong to a second training from the start.
      best: the epoch that validates best, as an index.
    """
    chart = subplots.make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.16)
    for row, (series, name, colour) in enumerate(
        ((loss, "training loss", "var(--c2)"), (auc, "validation average AUC", "var(--c1)")), start=1
    ):
        for again in (False, True):
            here = [i for i in range(len(epochs)) if refits[i] == again]
            chart.add_scatter(
                x=[epochs[i] for i in here],
                y=[series[i] for i in here],
                mode="lines+markers",
                line={"color": colour, "width": 2.5, "dash": "dot" if again else "solid"},
                marker={"size": 7},
                hovertemplate=f"%{{x}}: {name} %{{y:.4f}}<extra></extra>",
                row=row,
                col=1,
            )
        chart.add_annotation(
            text=name,
            x=0,
            xref="paper",
            xanchor="left",
            y=1 if row == 1 else 0.42,
            yref="paper",
            yanchor="bottom",
            yshift=4,
            showarrow=False,
            font={"color": colour, "size": 13},
        )
    if best is not None and auc[best] is not None:
        chart.add_scatter(
            x=[epochs[best]],
            y=[auc[best]],
            mode="markers+text",
            text=["best"],
            textposition="bottom center",
            marker={"size": 15, "symbol": "circle-open", "color": INK, "line": {"width": 2}},
            textfont={"color": INK},
            hoverinfo="skip",
            cliponaxis=False,
            row=2,
            col=1,
        )
    result = finish(chart, height=380, margin={"l": 8, "r": 12, "t": 34, "b": 8})
    for axis, series in (("yaxis", loss), ("yaxis2", auc)):
        known = [value for value in series if value is not None]
        if len(set(known)) == 1:
            result["layout"][axis]["range"] = [0.95 * known[0], 1.05 * known[0]]
    for axis in ("xaxis", "xaxis2"):
        result["layout"][axis].update(type="category", categoryorder="array", categoryarray=list(epochs))
    result["layout"]["xaxis2"]["title"] = {"text": "epoch"}
    return result


def lines(
    x: Sequence[str], series: Mapping[str, Sequence[float | None]], colours: Mapping[str, int | None]
) -> dict[str, Any]:
    """One line per name over time.

    Args:
      x: times, ISO text.
      series: by name; those without a colour come first, below the others.
      colours: index of each name's colour and dash; None: pale.
    """
    chart = go.Figure()
    for name in sorted(series, key=lambda name: colours[name] is not None):
        index = colours[name]
        chart.add_scatter(
            x=list(x),
            y=list(series[name]),
            mode="lines" if len(x) > 1 else "markers",
            line={
                "color": GRID if index is None else SERIES[index],
                "width": 1 if index is None else 2.2,
                "dash": "solid" if index is None else DASHES[index],
            },
            hovertemplate=f"{html.escape(name)}, %{{x|%e %b}}: %{{y:.3f}}<extra></extra>",
        )
    return finish(
        chart,
        height=220,
        xaxis={"type": "date", "tickformat": "%e %b", "nticks": 5},
        yaxis={"rangemode": "tozero", "nticks": 5, "exponentformat": "none"},
    )


def histogram(values: Sequence[float], *, line: float | None, line_name: str, title: str) -> dict[str, Any]:
    """How many of the names have which value."""
    chart = go.Figure(
        go.Histogram(
            x=list(values),
            nbinsx=40,
            marker={"color": "var(--c1)", "line": {"color": "var(--card)", "width": 1}},
            hovertemplate="%{x}: %{y}<extra></extra>",
        )
    )
    if line is not None:
        chart.add_vline(x=line, line={"color": "var(--c2)", "width": 2, "dash": "dash"})
        chart.add_annotation(
            x=line, y=1, yref="paper", yanchor="bottom", text=html.escape(line_name), showarrow=False
        )
    return finish(
        chart,
        height=260,
        margin={"l": 8, "r": 12, "t": 26, "b": 8},
        xaxis={"title": {"text": title}},
        yaxis={"title": {"text": "domains"}, "rangemode": "tozero"},
        bargap=0.05,
    )


def scatter(
    x: Sequence[float],
    y: Sequence[float],
    names: Sequence[str],
    *,
    x_title: str,
    y_title: str,
    line: float | None,
) -> dict[str, Any]:
    """One dot per name, x on a logarithmic axis."""
    chart = go.Figure(
        go.Scatter(
            x=list(x),
            y=list(y),
            mode="markers",
            marker={"size": 6, "color": "var(--c1)", "opacity": 0.55},
            customdata=[[html.escape(name), count(rows)] for name, rows in zip(names, x, strict=True)],
            hovertemplate="<b>%{customdata[0]}</b>: %{y:.4f}, %{customdata[1]} rows<extra></extra>",
        )
    )
    if line is not None:
        chart.add_hline(y=line, line={"color": "var(--c2)", "width": 2, "dash": "dash"})
    decades = math.log10(max([*x, 10]) / max(1.0, min([*x, 10])))
    return finish(
        chart,
        height=300,
        xaxis={"type": "log", "title": {"text": x_title}, "dtick": 1 if decades > 1.5 else None},
        yaxis={"title": {"text": y_title}},
    )


def reliability(predicted: Sequence[float], observed: Sequence[float], rows: Sequence[int]) -> dict[str, Any]:
    """Click rate against prediction, bin by bin, with 95 % intervals; on the diagonal is right.

    Args:
      predicted, observed: mean of each bin.
      rows: of each bin.
    """
    errors = [
        1.96 * math.sqrt(max(rate * (1 - rate), 0.0) / n) for rate, n in zip(observed, rows, strict=True)
    ]
    top = min(1.0, 1.08 * max([*predicted, *(o + e for o, e in zip(observed, errors, strict=True)), 0.01]))
    chart = go.Figure()
    chart.add_scatter(
        x=[0, top],
        y=[0, top],
        mode="lines",
        line={"color": SOFT, "width": 1, "dash": "dash"},
        hoverinfo="skip",
    )
    chart.add_scatter(
        x=list(predicted),
        y=list(observed),
        mode="lines+markers",
        line={"color": "var(--c1)", "width": 2},
        marker={"size": 6},
        error_y={"type": "data", "array": errors, "color": "var(--c1)", "thickness": 1.2, "width": 0},
        customdata=[count(n) for n in rows],
        hovertemplate="predicted %{x:.3f}, clicked %{y:.3f}, %{customdata} rows<extra></extra>",
    )
    return finish(
        chart,
        height=230,
        xaxis={"range": [0, top], "nticks": 5, "title": {"text": "predicted"}},
        yaxis={"range": [0, top], "nticks": 5, "title": {"text": "clicked"}},
    )


def days(
    names: Sequence[str], rows: Sequence[int], rates: Sequence[float], evaluated: Sequence[bool]
) -> dict[str, Any]:
    """Impressions by day as bars, the click rate above them as a line.

    Args:
      names: ISO dates.
      rows, rates: impressions and click rate of each.
      evaluated: which days were kept back to judge the model.
    """
    chart = subplots.make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.16, row_heights=[0.4, 0.6]
    )
    chart.add_scatter(
        x=list(names),
        y=list(rates),
        mode="lines+markers",
        line={"color": "var(--c2)", "width": 2},
        marker={"size": 6},
        hovertemplate="%{x|%e %b}: %{y:.3f}<extra></extra>",
        row=1,
        col=1,
    )
    chart.add_bar(
        x=list(names),
        y=list(rows),
        marker={
            "color": ["var(--c6)" if late else "var(--c1)" for late in evaluated],
            "pattern": {"shape": ["/" if late else "" for late in evaluated], "fgcolor": "var(--card)"},
        },
        hovertemplate="%{x|%e %b}: %{y:,} impressions<extra></extra>",
        row=2,
        col=1,
    )
    result = finish(chart, height=300, margin={"l": 8, "r": 12, "t": 24, "b": 8}, bargap=0.25)
    for name, text in (("yaxis", "click rate"), ("yaxis2", "impressions")):
        result["layout"][name].update(title={"text": text}, rangemode="tozero", nticks=4)
    for axis in ("xaxis", "xaxis2"):
        result["layout"][axis].update(type="date", tickformat="%e %b", nticks=8)
    return result
