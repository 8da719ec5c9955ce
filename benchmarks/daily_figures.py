"""The figures of `benchmarks.daily`: models judged on the day after, what commands cost, what was exported."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from components.comparison.scores import EvaluationRows, Scored, user_weights
from components.dataset.declaration import DAY_MS
from components.dataset.names import LOCAL_TIME
from components.dataset.parquet import read_table
from models.arrays import Array, write_arrays
from models.calibration import Calibration, fit_calibration
from models.metrics import log_losses
from pipeline.daily.ledger import DayEntry, Ledger
from pipeline.simulate.settings import FIRST_DAY

SAMPLES, SEED = 500, 1
MIN_ROWS = 500
MIN_CLICKS = 200
WAYS = ("daily", "anew", "run")
WITHOUT = "daily, not calibrated"
REPLAYED = "daily, calibrated by this tree"
# As `daily.judge_hours`: the calibration learns from the others.
JUDGE_HOURS, HOUR_MS = 4, 3_600_000
Judged = dict[str, dict[str, Array]]


def figures(work: Path) -> dict[str, Any]:
    """All figures of a work folder, as they are printed.

    Args:
      work: of `benchmarks.daily`.
    """
    entries = Ledger(work / "feed/daily").entries()
    judged = _judge(work, entries)
    served = [day for day, ways in judged.items() if WITHOUT in ways]
    for day, rows in zip(served, _replayed([judged[day][WITHOUT] for day in served]), strict=True):
        judged[day][REPLAYED] = rows
    common = [day for day, of_day in judged.items() if all(way in of_day for way in WAYS)]
    expected = {}
    if all("probability" in judged[day]["daily"] for day in common):
        expected = {"ranking, all ways, clicks as expected": _ranking(judged, common, WAYS, expected=True)}
    return {
        "days": {day: _day(entry) for day, entry in entries.items()},
        "ranking, days that all ways judged": _ranking(judged, common, WAYS),
        **expected,
        "ranking, all days": _ranking(judged, served, (WITHOUT, "daily", REPLAYED)),
        "lead by day: overall, average": _by_day(judged, common, expected=bool(expected)),
        "calibration": _calibration(judged),
        "costs": _costs(work, entries),
        "sizes": _sizes(entries),
    }


def _day(entry: DayEntry) -> dict[str, Any]:
    return {"status": entry.status, "reasons": entry.reasons, "rows": entry.rows}


def _judge(work: Path, entries: Mapping[str, DayEntry]) -> dict[str, Judged]:
    """By day and way: label, domain, user and prediction of each row of the day, and the names of the domains."""
    examples = _examples(work / "feed/artifacts/DeclaredExampleGen/examples")
    found: dict[str, Judged] = {}
    days = sorted(entries)
    for before, day in itertools.pairwise(days):
        service = entries[before].carry.service
        if service is None or day not in examples:
            continue
        models = {"daily": Path(service.version)}
        for way in WAYS[1:]:
            versions = sorted((work / way / before / "serving").glob("*/[0-9]*"))
            models.update({way: versions[-1]} if versions else {})
        for way, model in models.items():
            kept = work / "scores" / f"{day} {way}.npz"
            if not kept.is_file():
                kept.parent.mkdir(exist_ok=True)
                partial = kept.with_name(f".{kept.name}")
                write_arrays(partial, _scored(work, model, examples[day]))
                partial.rename(kept)
            with np.load(kept, allow_pickle=False) as stored:
                found.setdefault(day, {})[way] = dict(stored)
        truth = _truth(work / "data", day, found[day]["daily"])
        if truth is not None:
            for rows in found[day].values():
                rows["probability"] = truth
        calibration = Calibration.read(Path(service.model_run))
        if calibration is not None:
            found[day][WITHOUT] = _not_calibrated(found[day]["daily"], calibration)
    return found


def _examples(folder: Path) -> dict[str, Path]:
    """The raw examples of each day, those of its last ingestion."""
    found = {}
    for path in sorted(folder.glob("*/ingest_report.json"), key=lambda path: int(path.parent.name)):
        found[json.loads(path.read_text())["first_day"][:10]] = path.parent
    return found


def _scored(work: Path, model: Path, examples: Path) -> dict[str, Array]:
    import tensorflow as tf
    from tfx_bsl.coders import example_coder

    from components.evaluator.config import SIGNATURE
    from components.evaluator.scoring import column_values

    roles = json.loads((work / "roles.json").read_text())
    [signature] = [tf.saved_model.load(str(model)).signatures[SIGNATURE]]
    [argument] = signature.structured_input_signature[1]
    decoder = example_coder.ExamplesToRecordBatchDecoder()
    files = [str(path) for path in sorted(examples.glob("Split-*/*.gz"))]
    parts: dict[str, list[Array]] = {name: [] for name in ("label", "domain", "user", "time", "prediction")}
    for records in tf.data.TFRecordDataset(files, compression_type="GZIP").batch(4096).as_numpy_iterator():
        batch = decoder.DecodeBatch(records.tolist())
        [prediction] = signature(**{argument: tf.constant(records)}).values()
        parts["prediction"].append(np.asarray(prediction, np.float64).reshape(-1))
        parts["label"].append(np.asarray(column_values(batch, roles["label"]).data, np.int64))
        parts["time"].append(np.asarray(column_values(batch, LOCAL_TIME).data, np.int64))
        for role in ("domain", "user"):
            values = column_values(batch, roles[role]).data
            parts[role].append(
                np.array([v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()])
            )
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _truth(data: Path, day: str, rows: Mapping[str, Array]) -> Array | None:
    """The true click probability of each row of a simulated day; None where the feed is not simulated."""
    if not (data / "truth").is_dir():
        return None
    number = (np.datetime64(day) - np.datetime64(FIRST_DAY)).astype(int)
    log = pl.read_csv(data / f"impressions/part-{number:03}.csv", columns=["timestamp_ms", "user_id"])
    log = log.with_columns(
        pl.Series(read_table(data / f"truth/part-{number:03}.parquet")["probability"]).alias("probability")
    )
    asked = pl.DataFrame({"timestamp_ms": rows["time"], "user_id": rows["user"].astype(np.int64)})
    found = asked.join(log.unique(["timestamp_ms", "user_id"]), ["timestamp_ms", "user_id"], "left")
    return np.asarray(found["probability"].to_numpy())


def _logit(prediction: Array) -> Array:
    # A 32-bit probability can be 1, whose logit would have no end.
    known = np.clip(prediction.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(known) - np.log1p(-known)


def _not_calibrated(rows: dict[str, Array], calibration: Calibration) -> dict[str, Array]:
    """The same model without its last stage: the stage, undone."""
    names, place = np.unique(rows["domain"], return_inverse=True)
    stage = calibration.of(names.tolist())
    logit = (_logit(rows["prediction"]) - stage.offset[place]) / stage.scale[place]
    return {**rows, "prediction": 1 / (1 + np.exp(-logit))}


def _evaluated(
    judged: Mapping[str, Judged], days: list[str], ways: tuple[str, ...], *, expected: bool
) -> tuple[dict[str, dict[str, Array]], dict[str, Scored], Array, Array]:
    """The rows of these days by way, their scores, and the label and weight of each scored row."""
    rows = {way: _together([judged[day][way] for day in days]) for way in ways}
    one = rows[ways[0]]
    names, domain = np.unique(one["domain"], return_inverse=True)
    times = 2 if expected else 1
    count = len(domain)
    chance = one["probability"] if expected else np.ones(count)
    weight = np.concatenate([chance, 1 - chance]) if expected else chance
    label = np.repeat([1, 0], count) if expected else one["label"]
    of_rows = EvaluationRows(
        label, np.tile(domain, times), np.tile(one["user"], times), tuple(names.tolist()), times * MIN_ROWS
    )
    scored = {way: Scored(of_rows, np.tile(rows[way]["prediction"], times)) for way in ways}
    return rows, scored, label, weight


def _by_day(judged: Mapping[str, Judged], days: list[str], *, expected: bool) -> dict[str, Any]:
    """The first way's lead of each day, and over days as if they were drawn: what bootstraps over users do not hold."""
    found: dict[str, Any] = {way: {} for way in WAYS[1:]}
    for day in days:
        _, scored, _, weight = _evaluated(judged, [day], WAYS, expected=expected)
        own = scored[WAYS[0]]
        for way in WAYS[1:]:
            leads = (
                (own.overall_auc(weight) or 0.0) - (scored[way].overall_auc(weight) or 0.0),
                (own.average_auc(weight) or 0.0) - (scored[way].average_auc(weight) or 0.0),
            )
            found[way][day] = [round(lead, 5) for lead in leads]
    for leads in found.values():
        every = np.array(list(leads.values()))
        if len(every) > 1:
            leads["mean"] = every.mean(axis=0).round(5).tolist()
            leads["standard error"] = (every.std(axis=0, ddof=1) / len(every) ** 0.5).round(5).tolist()
    return found


def _ranking(
    judged: Mapping[str, Judged], days: list[str], ways: tuple[str, ...], *, expected: bool = False
) -> dict[str, Any]:
    """AUC of all rows of these days together, and the first way's lead over the others.

    With `expected` the AUC is that of expected clicks: each row is a click and none, as often as it truly is. Luck of
    the clicks is then no part of it, and domains count by their rows alone.
    """
    if not days or any(way not in judged[day] for day in days for way in ways):
        return {}
    rows, scored, label, weight = _evaluated(judged, days, ways, expected=expected)
    one, of_rows = rows[ways[0]], scored[ways[0]].rows
    times, count = len(label) // len(one["label"]), len(one["label"])
    chance = one["probability"] if expected else np.ones(count)
    weights = [np.tile(drawn, times) * weight for drawn in user_weights(one["user"], SAMPLES, SEED)]
    drawn = {
        way: np.array([[s.overall_auc(w), s.average_auc(w)] for w in weights], float)
        for way, s in scored.items()
    }
    found: dict[str, Any] = {"days": len(days), "rows": count, "domains": len(of_rows.counted())}
    for way, s in scored.items():
        prediction = rows[way]["prediction"]
        figures: dict[str, Any] = {
            "overall_auc": s.overall_auc(weight),
            "average_auc": s.average_auc(weight),
            "log_loss": float(np.average(log_losses(label, np.tile(prediction, times)), weights=weight)),
            "calibration": float(prediction.sum() / (chance if expected else one["label"]).sum()),
        }
        for column, name in enumerate(("overall_auc", "average_auc")):
            figures[f"{name}_interval"] = _middle(drawn[way][:, column])
            lead = (getattr(scored[ways[0]], name)(weight) or 0.0) - (figures[name] or 0.0)
            between = _middle(drawn[ways[0]][:, column] - drawn[way][:, column])
            figures[f"{name}_lead_of_{ways[0]}"] = [lead, *between]
        found[way] = figures
    return found


def _together(parts: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _middle(values: Array) -> list[float]:
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def _calibration(judged: Mapping[str, Judged]) -> dict[str, Any]:
    """Clicks predicted over observed, and how far off single domain-days are.

    Beside it how far off they would be by the luck of the clicks alone, and whether a domain is off in the same way on
    the day after, which is all that a stage made of earlier days can correct.
    """
    found = {}
    for way in ("daily", WITHOUT, REPLAYED):
        days = [rows[way] for rows in judged.values() if way in rows]
        if not days:
            continue
        rows = _together(days)
        off: list[dict[str, float]] = []
        luck: list[float] = []
        for day in days:
            names, place = np.unique(day["domain"], return_inverse=True)
            clicks, predicted, variance = (
                np.bincount(place, values, len(names))
                for values in (day["label"], day["prediction"], day["prediction"] * (1 - day["prediction"]))
            )
            enough = clicks >= MIN_CLICKS
            off.append(dict(zip(names[enough], np.log(predicted[enough] / clicks[enough]), strict=True)))
            luck += (np.sqrt(2 / np.pi * variance[enough]) / predicted[enough]).tolist()
        every = [value for of_day in off for value in of_day.values()]
        pairs = [
            (today[name], later[name])
            for today, later in itertools.pairwise(off)
            for name in today
            if name in later
        ]
        found[way] = {
            "predicted over observed": float(rows["prediction"].sum() / rows["label"].sum()),
            "domain-days": len(every),
            "mean |log(predicted/observed)|": float(np.mean(np.abs(every))) if every else None,
            "by luck alone": float(np.mean(luck)) if luck else None,
            "correlation with the day after": float(np.corrcoef(np.array(pairs).T)[0, 1])
            if len(pairs) > 2
            else None,
        }
    return found


def _replayed(days: list[dict[str, Array]]) -> list[dict[str, Array]]:
    """The same predictions with the last stage of this tree: each day's learned from the days before."""
    names = sorted({str(name) for day in days for name in np.unique(day["domain"])})
    calibration: Calibration | None = None
    found = []
    for day in days:
        domain = np.searchsorted(names, day["domain"])
        logits = _logit(day["prediction"])
        stage = calibration or Calibration.none(names)
        found.append({**day, "prediction": 1 / (1 + np.exp(-stage.apply(logits, domain)))})
        early = day["time"] % DAY_MS < DAY_MS - JUDGE_HOURS * HOUR_MS
        calibration = fit_calibration(
            logits[early], day["label"][early], domain[early], names, earlier=calibration
        )
    return found


def _costs(work: Path, entries: Mapping[str, DayEntry]) -> dict[str, Any]:
    """Processor seconds of whole commands that were not stopped, by day."""
    days = sorted(entries)
    found: dict[str, dict[str, float]] = {way: {} for way in WAYS}
    for path in sorted((work / "costs").glob("*.json")):
        document = json.loads(path.read_text())
        way, _, which = path.stem.partition(" ")
        if way in WAYS and not document["stopped"]:
            day = days[int(which)] if way == "daily" else which
            found[way][day] = round(document["cpu_seconds"], 1)
    own = found["daily"]
    early, late = ([own[day] for day in days[part] if day in own] for part in (slice(3, 6), slice(-3, None)))
    if early and late:
        found["daily, last three days over days 4 to 6"] = {
            "factor": statistics.median(late) / statistics.median(early)
        }
    return found


def _sizes(entries: Mapping[str, DayEntry]) -> dict[str, dict[str, float]]:
    """Kilobytes of each pushed version: of its tables and texts, its weights, its graph."""
    found = {}
    for day, entry in entries.items():
        if entry.pushed_to is not None and Path(entry.pushed_to).is_dir():
            folder = Path(entry.pushed_to)
            found[day] = {
                name: round(sum(path.stat().st_size for path in folder.glob(pattern)) / 1024, 1)
                for name, pattern in (
                    ("assets", "assets/*"),
                    ("variables", "variables/*"),
                    ("graph", "saved_model.pb"),
                )
            }
    return found


def print_figures(found: Mapping[str, Any]) -> None:
    """Tables for people."""
    console = Console(width=160)
    for title, ranking in found.items():
        if not title.startswith("ranking") or not ranking:
            continue
        table = Table(
            "",
            "overall AUC",
            "average AUC",
            "lead, overall",
            "lead, average",
            "log loss",
            "calibration",
            title=f"{title}: {ranking['days']} days, {ranking['rows']:,} rows, {ranking['domains']} domains",
        )
        for way, figures in ranking.items():
            if isinstance(figures, dict):
                table.add_row(
                    way,
                    *(_with_interval(figures, name) for name in ("overall_auc", "average_auc")),
                    *(_lead(figures, name) for name in ("overall_auc", "average_auc")),
                    f"{figures['log_loss']:.4f}",
                    f"{figures['calibration']:.3f}",
                )
        console.print(table)
    console.print_json(
        json.dumps({name: value for name, value in found.items() if name != "days" and "ranking" not in name})
    )
    for day, entry in found["days"].items():
        if entry["status"] != "pushed":
            console.print(f"{day}: {entry['status']}: {' '.join(entry['reasons'])}")


def _with_interval(figures: Mapping[str, Any], name: str) -> str:
    low, high = figures[f"{name}_interval"]
    return f"{figures[name]:.4f} ({low:.4f} to {high:.4f})"


def _lead(figures: Mapping[str, Any], name: str) -> str:
    [lead] = [value for key, value in figures.items() if key.startswith(f"{name}_lead_of_")]
    return f"{lead[0]:+.4f} ({lead[1]:+.4f} to {lead[2]:+.4f})"
