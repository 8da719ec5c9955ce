"""Figures of the pages, from plain data. Colours are names of the page's style, so that light, dark and print differ.

A colour "var(--c1)" is looked up in the style sheet when the page is shown; every figure is drawn anew when the reader
turns to the dark or to paper. Series colours are Okabe and Ito's, told apart by colour-blind readers, and lines
differ in their dashes as well.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline.report.numbers import figure, short

INK, SOFT, GRID = "var(--ink)", "var(--soft)", "var(--grid)"
SERIES = (
    "var(--c1)",
    "var(--c2)",
    "var(--c3)",
    "var(--c4)",
    "var(--c5)",
    "var(--c6)",
    "var(--c7)",
    "var(--c8)",
)
DASHES = ("solid", "solid", "solid", "solid", "dash", "dash", "dash", "dot")
# How further values of a row are drawn, in this order; the pages' legends draw the same.
MARKS = ("diamond-open", "square-open", "triangle-up-open", "cross-open")
_LEGEND_MARKS = ("◇", "□", "△", "✛")
_HEAT = [[i / 4, f"var(--heat{i})"] for i in range(5)]
_BOTH_SIDES = [[i / 4, f"var(--side{i})"] for i in range(5)]
_ROW = 26


def label(name: str, length: int = 22) -> str:
    """A name as plotly may show it: cut, and without markup."""
    return html.escape(short(name, length), quote=False)


def mark_legend(names: Sequence[str]) -> list[tuple[str, str, str]]:
    """(name, sign, colour) of the further values of a dot plot, for a legend."""
    return [
        (name, _LEGEND_MARKS[i % len(MARKS)], SERIES[1 + i % (len(SERIES) - 1)])
        for i, name in enumerate(names)
    ]


def finish(chart: go.Figure, height: int, **layout: Any) -> dict[str, Any]:
    """The chart with the pages' plain layout, as what plotly.js draws."""
    chart.update_layout(
        template="none",
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13},
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
        hoverlabel={"bgcolor": "var(--card)", "bordercolor": GRID, "font": {"color": INK}},
        showlegend=False,
    )
    chart.update_xaxes(gridcolor=GRID, zeroline=False, linecolor=GRID, automargin=True, fixedrange=True)
    chart.update_yaxes(gridcolor=GRID, zeroline=False, linecolor=GRID, automargin=True, fixedrange=True)
    chart.update_layout(**layout)
    return dict(chart.to_plotly_json())


def dot_plot(
    names: Sequence[str],
    values: Sequence[float | None],
    *,
    spread: Sequence[float | None] | None = None,
    strong: Sequence[bool] | None = None,
    marks: Mapping[str, Sequence[float | None]] | None = None,
    sizes: Sequence[str] | None = None,
    notes: Sequence[str] | None = None,
    line: float | None = None,
    line_name: str = "",
    title: str = "AUC",
) -> dict[str, Any]:
    """Values with intervals, one row per name, the first on top.

    Args:
      names: of the rows.
      values: None: no dot, the note alone.
      spread: half widths of the intervals.
      strong: which dots are full; others are hollow and pale, and arrows with their value at the edge where they are
        outside what the full ones need.
      marks: further values of each row by their legend: hollow diamonds, squares, triangles, crosses
        (`mark_legend` draws them).
      sizes: written beside the names, pale.
      notes: what stands beside a row without a value and in every hover.
      line: a reference across all rows.
      title: of the axis.
    """
    rows = list(range(len(names)))
    strong = strong or [True] * len(names)
    spread = spread or [None] * len(names)
    notes = notes or [""] * len(names)
    chart = go.Figure()
    for number, (name, series) in enumerate((marks or {}).items()):
        here = [i for i in rows if series[i] is not None]
        chart.add_scatter(
            x=[series[i] for i in here],
            y=here,
            mode="markers",
            marker={
                "symbol": MARKS[number % len(MARKS)],
                "size": 9,
                "color": SERIES[1 + number % (len(SERIES) - 1)],
                "line": {"width": 1.8, "color": SERIES[1 + number % (len(SERIES) - 1)]},
            },
            customdata=[figure(series[i]) for i in here],
            hovertemplate=f"{html.escape(name)}: %{{customdata}}<extra></extra>",
        )
    low, high = _range(values, spread, strong, marks)
    for full in (True, False):
        here = [i for i in rows if strong[i] == full and values[i] is not None]
        colour = "var(--c1)" if full else SOFT
        chart.add_scatter(
            x=[min(max(values[i] or 0.0, low), high) for i in here],
            y=here,
            mode="markers",
            cliponaxis=False,
            marker={
                "symbol": [_symbol(values[i] or 0.0, low, high) for i in here],
                "size": 11 if full else 9,
                "color": colour if full else "var(--card)",
                "line": {"color": colour, "width": 2},
            },
            error_x={
                "type": "data",
                "array": [(spread[i] or 0) if low <= (values[i] or 0.0) <= high else 0 for i in here],
                "color": colour,
                "thickness": 1.6,
                "width": 0,
            },
            customdata=[[html.escape(names[i]), figure(values[i]), html.escape(notes[i])] for i in here],
            hovertemplate="<b>%{customdata[0]}</b>: %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        )
    for i in rows:
        value = values[i]
        if value is not None and low <= value <= high:
            continue
        left = value is None or value < low
        text = html.escape(notes[i] if value is None else figure(value, 3))
        chart.add_annotation(
            x=low if left else high,
            y=i,
            text=text,
            showarrow=False,
            xanchor="left" if left else "right",
            xshift=0 if value is None else 10 if left else -10,
            font={"color": SOFT},
        )
    if line is not None:
        chart.add_vline(x=line, line={"color": SOFT, "width": 1, "dash": "dash"})
        chart.add_annotation(
            x=line,
            y=1,
            yref="paper",
            yanchor="bottom",
            text=html.escape(line_name),
            showarrow=False,
            font={"color": SOFT, "size": 12},
        )
    return finish(
        chart,
        height=_ROW * len(names) + 90,
        margin={"l": 8, "r": 12, "t": 26, "b": 8},
        xaxis={"title": {"text": title}, "range": [low, high]},
        yaxis={
            "tickvals": rows,
            "ticktext": [
                f"{label(name)}<span style='opacity: 0.6'>  {html.escape(size)}</span>"
                for name, size in zip(names, sizes or [""] * len(names), strict=True)
            ],
            "range": [len(names) - 0.4, -0.6],
            "showgrid": False,
            "ticks": "",
        },
    )


def _range(
    values: Sequence[float | None],
    spread: Sequence[float | None],
    strong: Sequence[bool],
    marks: Mapping[str, Sequence[float | None]] | None,
) -> tuple[float, float]:
    """The part of the axis where the full dots are, with their intervals and marks; never beyond 0 and 1.

    A hollow dot, of a few clicks, may lie anywhere and would squeeze all others: it is drawn at the edge, as an arrow.
    """
    full_dots = [value for value, full in zip(values, strong, strict=True) if full or not any(strong)]
    found = [
        value for series in [full_dots, *(marks or {}).values()] for value in series if value is not None
    ]
    for value, width, full in zip(values, spread, strong, strict=True):
        if value is not None and full:
            found += [value - (width or 0), value + (width or 0)]
    low, high = (min(found), max(found)) if found else (0.5, 0.75)
    # A tenth of AUC at least, lest a tie look like a gap.
    missing = max(0.0, 0.1 - (high - low)) / 2
    return max(-0.01, low - missing - 0.01), min(1.01, high + missing + 0.01)


def _symbol(value: float, low: float, high: float) -> str:
    """A dot, or an arrow to where it would be."""
    return "triangle-left" if value < low else "triangle-right" if value > high else "circle"


def upright_title(text: str) -> dict[str, Any]:
    """Of an axis whose labels stand upright: without a distance of its own the title would be drawn across them."""
    return {"text": text, "standoff": 12}


def heat_map(
    names: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    row_title: str,
    column_title: str,
    middle: float | None = None,
) -> dict[str, Any]:
    """A square of values, rows from the top; numbers in the cells while there is room.

    Args:
      names: of rows and columns.
      values: [row][column].
      row_title, column_title: of the axes.
      middle: drawn without colour; less than it in one colour, more in another. None: one colour from 0 on.
    """
    written = len(names) <= 16
    labels = [label(name, 14) for name in names]
    known = [v for row in values for v in row if v is not None]
    low, top = 0.0, max(known, default=1.0)
    if middle is not None:
        reach = max([abs(value - middle) for value in known] + [0.25 * middle])
        low, top = middle - reach, middle + reach
    digits = 2 if (top if middle is None else middle) >= 0.095 else 3
    chart = go.Figure(
        go.Heatmap(
            z=[list(row) for row in values],
            x=list(range(len(names))),
            y=list(range(len(names))),
            zmin=low,
            zmax=top,
            colorscale=_HEAT if middle is None else _BOTH_SIDES,
            xgap=1,
            ygap=1,
            text=[[_cell(v, digits) for v in row] for row in values] if written else None,
            texttemplate="%{text}" if written else None,
            customdata=[[f"{html.escape(a)} → {html.escape(b)}" for b in names] for a in names],
            hovertemplate="%{customdata}: %{z:.4f}<extra></extra>",
            colorbar={"thickness": 12, "outlinewidth": 0, "len": 0.9},
        )
    )
    ticks = {"tickvals": list(range(len(names))), "ticktext": labels, "showgrid": False}
    return finish(
        chart,
        height=min(900, max(300, 30 * len(names) + 110)),
        xaxis={
            **ticks,
            "title": upright_title(column_title),
            "side": "bottom",
            "tickangle": -90 if _long(labels) else 0,
        },
        yaxis={**ticks, "title": {"text": row_title}, "autorange": "reversed"},
    )


def _cell(value: float | None, digits: int) -> str:
    """ ".53"; nothing where that would be all zeros."""
    return "" if value is None or value < 0.5 * 10**-digits else figure(value, digits).lstrip("0")


def _long(labels: Sequence[str]) -> bool:
    return max(map(len, labels), default=0) > 4


def bars(
    names: Sequence[str], values: Sequence[float], texts: Sequence[str], pale: Sequence[bool]
) -> dict[str, Any]:
    """Horizontal bars, the first on top.

    Args:
      names, values: of the bars.
      texts: written at their ends.
      pale: which are drawn pale.
    """
    rows = list(range(len(names)))
    chart = go.Figure(
        go.Bar(
            x=list(values),
            y=rows,
            orientation="h",
            marker={"color": [SOFT if faint else "var(--c1)" for faint in pale]},
            text=list(texts),
            textposition="outside",
            cliponaxis=False,
            customdata=[html.escape(name) for name in names],
            hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
    )
    top = max([*values, 1e-9])
    return finish(
        chart,
        height=_ROW * len(names) + 40,
        xaxis={"visible": False, "range": [0, top * 1.35]},
        yaxis={
            "tickvals": rows,
            "ticktext": [label(name, 34) for name in names],
            "range": [len(names) - 0.4, -0.6],
            "showgrid": False,
        },
        bargap=0.35,
    )
