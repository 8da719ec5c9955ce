"""What came of a day's pipeline: a refusal of its data, one of its model, or a model that was pushed."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from components.dataset.sections import Daily
from components.drift.component import read_findings
from components.errors import GateError
from components.evaluator.reading import read_evaluation
from components.example_gen.left_out import left_out
from components.example_gen.unmatched import unmatched_in
from pipeline.daily.carry import Made, after
from pipeline.daily.create import DATA, VALIDATOR
from pipeline.daily.ledger import Carry, DayEntry, DomainFigures, Progressive, Service
from pipeline.events import NodeRun
from pipeline.execute import decision
from pipeline.failures import explain
from pipeline.terminal import title


@dataclasses.dataclass(frozen=True)
class Refusal:
    """What a gate refused.

    Attributes:
      at: `data` or `model`.
      reasons: in words, one a line.
    """

    at: str
    reasons: str


# What a log is refused for says of the declaration, under which the days before were read.
_DECLARE = re.compile(
    r"(?:; there is nothing to learn)?: declare another column as .*$| Correct the name in the declaration, or .*$",
    re.MULTILINE,
)


def refusal_of(
    error: Exception, node: str, parts: Iterable[str], declared_well: bool = False
) -> Refusal | None:
    """What a component's error refuses; None for whatever is neither the day's data nor its model.

    Args:
      error: what it raised.
      node: its id.
      parts: the day's files.
      declared_well: whether earlier days were read under the same declaration: then what differs is this day's.
    """
    known = explain(error)
    if known is None:
        return None
    message, code = known
    if code == GateError.exit_code:
        return Refusal("data" if node in DATA else "model", message)
    full = "no space left" in message.lower() or "disk is full" in message.lower()
    # A mistake in a lookup or a setting is not the day's, which stays due.
    if node == DATA[0] and not full and any(name in message for name in parts):
        days_own, found = _DECLARE.subn("", message) if declared_well else (message, 0)
        end = "" if days_own.endswith((".", "?")) else "."
        fault = f"{end} The days before were read as declared: the fault is in this day's delivery"
        return Refusal("data", days_own + fault if found else message)
    return None


def outcome(
    entry: DayEntry,
    carry: Carry,
    daily: Daily,
    runs: Mapping[str, NodeRun],
    serving: Path,
    refusal: Refusal | None,
    *,
    notes: list[str],
    rebased: bool,
    decide: Callable[[Mapping[str, NodeRun], Path], tuple[list[str], str | None]] = decision,
) -> dict[str, Any]:
    """The fields of a day's entry that its pipeline decides.

    Args:
      entry: as the day begins.
      carry: what the day before handed over.
      daily: the feed's settings.
      runs: the components that ran to their end, by id.
      serving: the directory that TF Serving watches for the model.
      refusal: what a gate refused; None: nothing.
      notes: what else should be read; more is added.
      rebased: whether the training began from nothing.
      decide: why the model was refused, and the version it was pushed to.
    """
    ingested = _ingested(runs)
    rows = _rows(ingested)
    if rows.get("duplicates"):
        notes.append(f"{rows['duplicates']:,} rows that repeat others were left out")
    notes += left_out(ingested)
    progressive = _progressive(runs)
    if progressive is not None and progressive.no_better_than_chance:
        notes.append(
            "within the domains the model in service ranked the day's rows no better than chance may: "
            f"{progressive.no_better_than_chance} (each domain counts the same). If that stays, look at its inputs and "
            "its label; evaluation.thresholds.average_auc refuses such a model"
        )
    found = {
        "notes": notes,
        "rows": rows,
        "progressive": progressive,
        "peak_memory_mb": max((run.peak_memory_mb for run in runs.values()), default=0.0),
        "parts_seconds": {title(run.node): round(run.cpu_seconds, 2) for run in runs.values()},
    }
    # Without the state after it the day is as good as not there.
    if refusal is not None and (refusal.at == "data" or "Transform" not in runs):
        causes = unmatched_in(ingested) if VALIDATOR not in runs else ()
        return {**found, "reasons": [*causes, *refusal.reasons.splitlines()]}
    service, reasons = None, refusal.reasons.splitlines() if refusal is not None else []
    first = refusal is None and not carry.state
    if first:
        reasons = [
            "the first day fills the averages, of which its own rows see nothing yet: the first model is trained "
            "on the day after"
        ]
    elif refusal is None:
        reasons, version = decide(runs, serving)
        if version is not None:
            service = Service(
                day=entry.day,
                model=str(runs["Trainer"].uri("model")),
                model_run=str(runs["Trainer"].uri("model_run")),
                version=version,
            )
    made = Made(
        day=entry.day,
        state=str(runs["Transform"].uri("state")),
        examples=str(runs["Transform"].uri("transformed_examples")),
        transform_graph=str(runs["Transform"].uri("transform_graph")),
        measured=str(runs["DataGates"].uri("figures")),
        progressive=str(runs["Progressive"].uri("evaluation")) if "Progressive" in runs else "",
        service=service,
        rebased=rebased,
    )
    if service is None and not first:
        notes.append("the day's rows are learned with those of the next day")
    return {
        **found,
        "status": "pushed" if service is not None else "refused",
        "refused_at": "" if service is not None or first else "model",
        "reasons": reasons,
        "notes": [*notes, *_moved(runs)],
        "pushed_to": service.version if service is not None else None,
        "carry": after(carry, made, daily),
    }


def _ingested(runs: Mapping[str, NodeRun]) -> dict[str, Any]:
    """The ingest report; empty where ExampleGen did not end."""
    if "DeclaredExampleGen" not in runs:
        return {}
    report = (runs["DeclaredExampleGen"].uri("examples") / "ingest_report.json").read_text()
    return dict(json.loads(report))


def _rows(report: Mapping[str, Any]) -> dict[str, int]:
    if not report:
        return {}
    counted = {key: int(report[key]) for key in ("train", "eval", "duplicates", "rejected")}
    events = sum(int(one["rows"]) for one in report.get("events", ()))
    return {**counted, "events": events} if events else counted


def _moved(runs: Mapping[str, NodeRun]) -> list[str]:
    return [finding.words for finding in read_findings(runs["DataGates"].uri("figures"))]


def _progressive(runs: Mapping[str, NodeRun]) -> Progressive | None:
    """The figures of the model in service on the day."""
    if "Progressive" not in runs:
        return None
    found = read_evaluation(str(runs["Progressive"].uri("evaluation")))
    return Progressive(
        average_auc=found.average_auc,
        overall_auc=found.overall_auc,
        auc_standard_error=found.overall.auc_standard_error,
        average_auc_standard_error=found.average_auc_standard_error,
        gauc=found.gauc,
        log_loss=found.log_loss,
        calibration=found.overall.calibration,
        domains={
            name: DomainFigures(
                rows=domain.rows,
                positives=domain.positives,
                auc=domain.auc,
                auc_standard_error=domain.auc_standard_error,
                log_loss=domain.log_loss,
                calibration=domain.calibration,
            )
            for name, domain in found.domains.items()
        },
    )
