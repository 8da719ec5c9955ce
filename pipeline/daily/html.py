"""`history.html`: the days of a feed on one self-contained page."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly import subplots

from components.dataset.declaration import Declaration
from pipeline.daily.ledger import shown
from pipeline.daily.served import Served
from pipeline.daily.table import judged_by
from pipeline.report.figures import INK, SOFT, finish, label
from pipeline.report.numbers import Z95, count, figure, plural
from pipeline.report.page import render

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_DOMAINS = 24
SHOWN_TURNS = 100
_COLUMNS = 4
# No more of an interval than this is sure to be shown.
_WIDE = 0.2
# So many have a mark each on the axis.
_FEW_DAYS = 10
_COLOURS = {"pushed": "var(--c1)", "learned": "var(--c1)", "refused": "var(--c2)", "missing": SOFT}


def history_page(
    document: dict[str, Any],
    declaration: Declaration,
    happened: Sequence[dict[str, Any]],
    now: Served | None,
    on_disk: Sequence[tuple[str, str]],
    command: str,
    directory: str = "",
) -> str:
    """The page as text.

    Args:
      document: `history.json`.
      declaration: of the feed.
      happened: the journal, the newest first.
      now: what is served.
      on_disk: versions with their model, the newest first.
      command, directory: how the days were made, and where; empty: that is not said.
    """
    days = [{**day, "shown": shown(day["status"], day["refused_at"])} for day in document["days"]]
    judged = [day for day in days if day["progressive"] is not None]
    tally = {status: sum(day["shown"] == status for day in days) for status in _COLOURS}
    return render(
        "history.html",
        TEMPLATES,
        title=f"{declaration.model.name} on {declaration.name}, day by day",
        description=declaration.description,
        lead=_lead(days, tally),
        now=now,
        days=list(reversed(days)),
        auc=_auc(judged) if judged else None,
        calibration=_calibration(judged) if judged else None,
        cost=_cost(days) if days else None,
        domains=_domains(judged) if any(map(_has_domains, judged[1:])) else None,
        shown_domains=SHOWN_DOMAINS,
        judged_by=judged_by(declaration),
        turns=_turns(happened),
        on_disk=on_disk,
        command=command,
        directory=directory,
    )


def _turns(happened: Sequence[dict[str, Any]]) -> list[tuple[str, str, list[str]]]:
    """When, what and why of all but pushed days: a day that was made again since no longer tells it."""
    found = []
    for one in happened:
        if one["event"] == "rollback":
            words = f"back to version {Path(one['to']).name}, pushed again as {Path(one['pushed_to']).name}"
            found.append((one["at"], "rollback", [words]))
        elif one["event"] == "day" and one["status"] in ("refused", "missing"):
            found.append((one["at"], f"{one['day']} {one['status']}", one["reasons"]))
    return found[:SHOWN_TURNS]


def _has_domains(day: dict[str, Any]) -> bool:
    return any(domain.get("auc") is not None for domain in day["progressive"]["domains"].values())


def _lead(days: Sequence[dict[str, Any]], tally: dict[str, int]) -> str:
    if not days:
        return "No day is over yet."
    words = f"{plural(len(days), 'day')} from {days[0]['day']} to {days[-1]['day']}: {tally['pushed']} pushed"
    words += ", the first filled the averages" if tally["learned"] else ""
    words += "".join(f", {tally[status]} {status}" for status in ("refused", "missing") if tally[status])
    judged = [
        d["progressive"] for d in days if d["progressive"] and d["progressive"]["overall_auc"] is not None
    ]
    if judged:
        mean = sum(day["overall_auc"] for day in judged) / len(judged)
        words += (
            f". {_judged_days(len(judged), len(days))} judged before the feed learned any of its rows: overall AUC "
            f"{figure(mean)} as the mean"
        )
    return words + "."


def _judged_days(judged: int, days: int) -> str:
    """How many days had a model to judge them and rows that could be judged."""
    if judged == days:
        return "Each was"
    return f"{judged} of them {'was' if judged == 1 else 'were each'}"


def _auc(days: Sequence[dict[str, Any]]) -> dict[str, Any]:
    chart = go.Figure()
    for name, key, dash, error in (
        ("overall", "overall_auc", "solid", "auc_standard_error"),
        ("average", "average_auc", "dash", "average_auc_standard_error"),
        ("GAUC", "gauc", "dot", ""),
    ):
        here = [day for day in days if day["progressive"][key] is not None]
        chart.add_scatter(
            x=[day["day"] for day in here],
            y=[day["progressive"][key] for day in here],
            name=name,
            mode="lines+markers",
            line={"dash": dash, "width": 1.8},
            error_y={
                **_interval([(day["progressive"][key], day["progressive"].get(error)) for day in here]),
                "thickness": 1,
                "width": 2,
            }
            if error
            else None,
            marker={"size": 6},
        )
    return finish(chart, 300, showlegend=True, xaxis=_dates(days), yaxis={"title": {"text": "AUC"}})


def _interval(judged: Sequence[tuple[float, float | None]]) -> dict[str, Any]:
    """95 % confidence intervals of AUCs, from their standard errors: no AUC is below 0 or above 1."""
    spread = [(auc, Z95 * (error or 0.0)) for auc, error in judged]
    return {
        "type": "data",
        "symmetric": False,
        "array": [min(half, 1 - auc) for auc, half in spread],
        "arrayminus": [min(half, auc) for auc, half in spread],
    }


def _calibration(days: Sequence[dict[str, Any]]) -> dict[str, Any]:
    chart = go.Figure()
    here = [day for day in days if day["progressive"]["calibration"] is not None]
    chart.add_scatter(
        x=[day["day"] for day in here],
        y=[day["progressive"]["calibration"] for day in here],
        mode="lines+markers",
        line={"color": "var(--c1)"},
    )
    chart.add_hline(y=1.0, line={"color": SOFT, "dash": "dot", "width": 1})
    return finish(chart, 220, xaxis=_dates(days), yaxis={"title": {"text": "predicted / observed"}})


def _dates(days: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An axis of whole days: of a single one plotly would show its milliseconds."""
    ends = [datetime.datetime.fromisoformat(day["day"]) for day in (days[0], days[-1])] if days else []
    margin = datetime.timedelta(hours=12)
    return {
        "type": "date",
        "tickformat": "%-d %b",
        "dtick": 86_400_000 if len(days) <= _FEW_DAYS else None,
        "range": [(ends[0] - margin).isoformat(), (ends[1] + margin).isoformat()] if ends else None,
    }


def _cost(days: Sequence[dict[str, Any]]) -> dict[str, Any]:
    chart = subplots.make_subplots(rows=1, cols=2, subplot_titles=("rows", "processor seconds"))
    colours = [_COLOURS[day["shown"]] for day in days]
    rows = [sum(day["rows"].get(split, 0) for split in ("train", "eval")) for day in days]
    for column, values in ((1, rows), (2, [day["cpu_seconds"] for day in days])):
        chart.add_bar(x=[day["day"] for day in days], y=values, marker={"color": colours}, row=1, col=column)
    chart.update_annotations(font={"color": INK, "size": 13})
    return finish(chart, 240, margin={"l": 8, "r": 12, "t": 28, "b": 8})


def _domains(days: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The AUC of each domain, small multiples, those of a line on one scale."""
    rows: dict[str, int] = {}
    judged: set[str] = set()
    for day in days:
        for name, domain in day["progressive"]["domains"].items():
            rows[name] = rows.get(name, 0) + domain["rows"]
            if domain.get("auc") is not None:
                judged.add(name)
    # One class every day: there is nothing to draw.
    names = sorted(judged, key=lambda name: (-rows[name], name))[:SHOWN_DOMAINS]
    lines = math.ceil(len(names) / _COLUMNS)
    chart = subplots.make_subplots(
        rows=lines,
        cols=_COLUMNS,
        shared_xaxes=True,
        shared_yaxes=True,
        subplot_titles=[f"{label(name)} ({count(rows[name])} rows)" for name in names],
        vertical_spacing=0.28 / max(lines, 1),
        horizontal_spacing=0.02,
    )
    ends: list[list[float]] = [[] for _ in range(lines)]
    for position, name in enumerate(names):
        here = [
            (day["day"], day["progressive"]["domains"][name])
            for day in days
            if day["progressive"]["domains"].get(name, {}).get("auc") is not None
        ]
        interval = _interval([(domain["auc"], domain["auc_standard_error"]) for _, domain in here])
        for (_, domain), up, down in zip(here, interval["array"], interval["arrayminus"], strict=True):
            # The interval of a few clicks would squeeze all others.
            ends[position // _COLUMNS] += [
                domain["auc"] - min(down, _WIDE),
                domain["auc"] + min(up, _WIDE),
            ]
        chart.add_scatter(
            x=[day for day, _ in here],
            y=[domain["auc"] for _, domain in here],
            mode="lines+markers",
            line={"color": "var(--c1)", "width": 1.4},
            marker={"size": 4},
            error_y={**interval, "thickness": 0.7, "width": 0, "color": SOFT},
            row=position // _COLUMNS + 1,
            col=position % _COLUMNS + 1,
        )
    marks = [days[len(days) // 4]["day"], days[-1 - len(days) // 4]["day"]] if days else []
    for number, found in enumerate(ends, 1):
        margin = 0.06 * (max(found) - min(found)) or 0.05
        chart.update_yaxes(range=[min(found) - margin, max(found) + margin], row=number)
    chart.update_annotations(font={"color": INK, "size": 12})
    # Two labels are all that there is room for; at the ends they would run into the next chart's.
    chart.update_xaxes(**{**_dates(days), "dtick": None, "tickvals": list(dict.fromkeys(marks))})
    return finish(chart, 60 + 130 * lines, margin={"l": 8, "r": 12, "t": 28, "b": 8})
