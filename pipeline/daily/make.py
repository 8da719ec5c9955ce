"""Makes one day: runs its pipeline, and tells a refusal of its data from one of its model and from an accident."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from components import progress
from components.dataset.declaration import Declaration
from components.dataset.files import data_fingerprint
from components.drift.component import read_findings
from components.errors import GateError, InputError
from components.evaluator.reading import read_evaluation
from components.trainer.warm_start import can_follow
from components.transform.state import cannot_continue
from pipeline.daily.book import Book
from pipeline.daily.carry import Made, after
from pipeline.daily.create import DATA, DaySettings, create_day_pipeline
from pipeline.daily.cut import CutFiles
from pipeline.daily.days import Delivery, file_named
from pipeline.daily.declared import for_day
from pipeline.daily.ledger import Carry, DayEntry, DomainFigures, Progressive, Service, now
from pipeline.events import NodeRun, NodeStarted
from pipeline.execute import decision
from pipeline.failures import explain
from pipeline.local import LocalRunner, cpu_seconds
from pipeline.place import Place
from pipeline.terminal import RunDisplay, title


def make_day(
    declaration: Declaration, delivery: Delivery, entry: DayEntry, carry: Carry, place: Place
) -> DayEntry:
    """Makes a day and returns its entry; nothing is written to the ledger here.

    Args:
      declaration: of the feed, with the command line's settings.
      delivery: what has arrived of the day.
      entry: as it begins (`pipeline.daily.entries.begun`).
      carry: what the day before handed over.
      place: where.

    Raises:
      InputError: something that is neither the day's rows nor its model keeps it from being made.
    """
    begun, cpu_begun = time.monotonic(), cpu_seconds()
    update = _Run(declaration, delivery, entry, carry, place).outcome()
    return entry.model_copy(
        update={
            **update,
            "seconds": round(time.monotonic() - begun, 1),
            "cpu_seconds": round(cpu_seconds() - cpu_begun, 1),
            "finished": now(),
        }
    )


class _Run:
    """One attempt at a day."""

    def __init__(
        self, declaration: Declaration, delivery: Delivery, entry: DayEntry, carry: Carry, place: Place
    ) -> None:
        self._feed = declaration
        self._entry = entry
        self._carry = carry
        self._place = place
        self._delivery = delivery
        self._declaration = for_day(declaration, delivery, _cut(declaration, delivery, place))
        self._notes = list(entry.notes)
        self._node = ""

    def outcome(self) -> dict[str, Any]:
        """The fields of the entry that the attempt decides."""
        refusal: tuple[str, str] | None = None
        with (
            RunDisplay(self._place.console) as display,
            progress.listening(display.progress, display.note),
        ):
            rebase = self._rebase()
            settings = self._settings(rebase=bool(rebase))
            runner = LocalRunner(self._listen(display))
            try:
                runner.run(create_day_pipeline(settings))
            except Exception as error:
                refusal = self._refusal(error)
                if refusal is None:
                    raise
                logging.exception("a gate refused")
        runs = runner.runs
        rows = _rows(runs)
        if rows.get("duplicates"):
            self._notes.append(f"{rows['duplicates']:,} rows that repeat others were left out")
        found = {
            "notes": self._notes,
            "rows": rows,
            "progressive": _progressive(runs),
            "peak_memory_mb": max((run.peak_memory_mb for run in runs.values()), default=0.0),
            "parts_seconds": {title(run.node): round(run.cpu_seconds, 2) for run in runs.values()},
        }
        # Without the state after it the day is as good as not there.
        if refusal is not None and (refusal[0] == "data" or "Transform" not in runs):
            return {**found, "reasons": refusal[1].splitlines()}
        service, reasons = None, refusal[1].splitlines() if refusal is not None else []
        first = refusal is None and not self._carry.state
        if first:
            reasons = [
                "the first day fills the averages, of which its own rows see nothing yet: the first model is trained "
                "on the day after"
            ]
        elif refusal is None:
            reasons, version = decision(runs, self._place.serving / self._declaration.model.name)
            if version is not None:
                service = Service(
                    day=self._entry.day,
                    model=str(runs["Trainer"].uri("model")),
                    model_run=str(runs["Trainer"].uri("model_run")),
                    version=version,
                )
        made = Made(
            day=self._entry.day,
            state=str(runs["Transform"].uri("state")),
            examples=str(runs["Transform"].uri("transformed_examples")),
            transform_graph=str(runs["Transform"].uri("transform_graph")),
            measured=str(runs["DataGates"].uri("figures")),
            progressive=str(runs["Progressive"].uri("evaluation")) if "Progressive" in runs else "",
            service=service,
            rebased=bool(rebase),
        )
        if service is None and not first:
            self._notes.append("the day's rows are learned with those of the next day")
        return {
            **found,
            "status": "pushed" if service is not None else "refused",
            "refused_at": "" if service is not None or first else "model",
            "reasons": reasons,
            "notes": [*self._notes, *_moved(runs)],
            "pushed_to": service.version if service is not None else None,
            "carry": after(self._carry, made, self._feed.daily),
        }

    def _listen(self, display: RunDisplay) -> Any:
        def listen(event: NodeStarted | NodeRun) -> None:
            self._node = event.node
            display.node(event)

        return listen

    def _rebase(self) -> str:
        """Why the training begins from nothing; empty: it goes on from the weights in service."""
        self._check_state()
        service = self._carry.service
        if service is None:
            return "no model is in service yet"
        every = self._feed.daily.rebase_every
        reason = can_follow(Path(service.model_run), self._declaration) or ""
        if not reason and every and self._carry.trained + 1 >= every:
            reason = f"{every} days have passed since the last training from nothing (daily.rebase_every)"
        if reason:
            days = min(self._feed.daily.rebase_days, len(self._carry.learned) + 1)
            text = f"trained from nothing on the last {days} days: {reason}"
            self._notes.append(text)
            progress.note(text)
        return reason

    def _check_state(self) -> None:
        if not self._carry.state:
            return
        reason = cannot_continue(self._carry.state, self._declaration)
        if reason:
            raise InputError(
                f"the declaration has changed in a way that the behaviour state cannot follow: {reason}. Make the days "
                "again from the first of which the data are there: `dfei daily --from DAY`"
            )

    def _settings(self, *, rebase: bool) -> DaySettings:
        place = self._place
        content = data_fingerprint(self._declaration, str(place.data))
        fingerprint = f"{self._entry.fingerprint}-{content}-{self._entry.salt}"
        return DaySettings(
            **place.settings(self._declaration, fingerprint, self._declaration.model.name),
            day=self._entry.day,
            carry=self._carry,
            rebase=rebase,
            accepted=self._entry.accepted,
        )

    def _refusal(self, error: Exception) -> tuple[str, str] | None:
        """What was refused, the data or the model, and why; None for whatever is neither."""
        known = explain(error)
        if known is None:
            return None
        message, code = known
        if code == GateError.exit_code:
            return ("data" if self._node in DATA else "model"), message
        full = "no space left" in message.lower() or "disk is full" in message.lower()
        # A mistake in a lookup or a setting is not the day's, which stays due.
        if self._node == DATA[0] and not full and any(name in message for name in self._delivery.parts):
            return "data", message
        return None


def _cut(declaration: Declaration, delivery: Delivery, place: Place) -> dict[str, Path]:
    """The day's part of each file that holds other days, too."""
    cut = CutFiles(Book(place.layout).cut)
    files = {name: file_named(declaration, str(place.data), name) for name in delivery.shared}
    return {name: cut.of_day(file, delivery.day, declaration) for name, file in files.items()}


def _rows(runs: dict[str, NodeRun]) -> dict[str, int]:
    if "DeclaredExampleGen" not in runs:
        return {}
    report = json.loads((runs["DeclaredExampleGen"].uri("examples") / "ingest_report.json").read_text())
    return {key: int(report[key]) for key in ("train", "eval", "duplicates", "rejected")}


def _moved(runs: dict[str, NodeRun]) -> list[str]:
    return [finding.words for finding in read_findings(runs["DataGates"].uri("figures"))]


def _progressive(runs: dict[str, NodeRun]) -> Progressive | None:
    """The figures of the model in service on the day."""
    if "Progressive" not in runs:
        return None
    found = read_evaluation(str(runs["Progressive"].uri("evaluation")))
    return Progressive(
        average_auc=found.average_auc,
        overall_auc=found.overall_auc,
        auc_standard_error=found.overall.auc_standard_error,
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
