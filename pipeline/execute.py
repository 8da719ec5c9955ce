"""Runs the pipeline of `dfei run` and gathers what came out. Imports TFX: only once the request is known to be good."""

from __future__ import annotations

import datetime
import json
import logging
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tfx.utils import path_utils

from components import progress
from components.dataset.declaration import Declaration
from components.dataset.files import data_fingerprint
from components.dataset.schema import missing_schema
from components.dataset.unread import file_notes
from components.errors import GateError
from components.evaluator.reading import read_evaluation
from components.evaluator.results import Overall
from components.example_gen.left_out import left_out
from components.example_gen.unmatched import unmatched_in
from components.example_validator.strict import read_anomalies
from components.pusher import atomic
from components.signature_check.component import REPORT as SIGNATURE_REPORT
from components.study.document import Study
from components.study.study import STUDY
from components.trainer.compared import read_facts
from components.transform.domain_curves import read_domain_curves
from components.version_notes import REQUEST
from pipeline.best_possible import best_possible
from pipeline.code_hash import COMPONENTS, code_hash
from pipeline.create import PipelineSettings, create_pipeline
from pipeline.events import NodeRun
from pipeline.example_curl import how_to_ask
from pipeline.failures import explain
from pipeline.layout import RunLayout
from pipeline.local import LocalRunner
from pipeline.place import Place
from pipeline.report.html import write_report
from pipeline.report.metrics import write_metrics
from pipeline.report.summary import RunSummary
from pipeline.report.terminal import print_summary
from pipeline.request import RunRequest, bounds_set_in
from pipeline.screen import as_is
from pipeline.terminal import RunDisplay, title

RESOLVER = "baseline"
PACKAGES = ("dfei", "tfx", "tensorflow", "apache-beam", "tensorflow-transform", "tensorflow-model-analysis")


def execute(request: RunRequest, declaration: Declaration, place: Place) -> RunSummary:
    """Runs every component and writes `metrics.json`, `run.json` and `report.html`.

    They are written of data that a gate refuses, too: who looks there must not find the run before.

    Args:
      request: what the user asked for.
      declaration: validated, with the command line's settings.
      place: where; its console shows progress, then the result.

    Raises:
      InputError: the data or a setting is wrong.
    """
    data, layout, console = place.data, place.layout, place.console
    serving = place.serving / declaration.model.name
    console.print(
        f"[bold]{declaration.name}[/]: {as_is(data)} → {declaration.model.name} → {as_is(serving)}",
        highlight=False,
    )
    notes = file_notes(declaration, str(data))
    fingerprint = data_fingerprint(declaration, str(data))
    settings = PipelineSettings(**place.settings(declaration, fingerprint, declaration.model.name))
    pipeline = create_pipeline(settings)
    with (
        RunDisplay(console, _last_time(layout)) as display,
        progress.listening(display.progress, display.note),
    ):
        runner = LocalRunner(display.node)
        refusal = None
        try:
            runner.run(pipeline)
        except Exception as error:
            refusal = _refusal(error)
            if refusal is None:
                raise
            logging.exception("a gate refused")
    earlier = _earlier(layout)
    hashes = {"data": fingerprint, **{f"code of {name}": code_hash(name) for name in COMPONENTS}}
    about = _about(request, declaration, runner.runs, hashes)
    about["warnings"] = [*_doubts(declaration), *notes, *_ingested(about["ingest"], declaration)]
    if refusal is None:
        summary = summarise(about, declaration, data, serving, runner.runs)
        all_cached = all(run.cached for run in runner.runs.values() if run.node != RESOLVER)
        if earlier is not None and summary.pushed_to and earlier.pushed_to == summary.pushed_to:
            summary.still_served = summary.pushed_to
            if all_cached:
                summary.unchanged_since = earlier.unchanged_since or earlier.created
    else:
        # What the schema misses came from there.
        causes = unmatched_in(about["ingest"]) if "StrictExampleValidator" not in runner.runs else ()
        summary = RunSummary(**about, blessed=False, reasons=[*causes, refusal])
    if not summary.blessed:
        summary.still_served = newest_version(serving)
        summary.blessed_before = _figures_of(summary.still_served, earlier)
        summary.bounds = bounds_set_in(request, summary.reasons)
        summary.fixed = declaration.at_serving()
    if refusal is None and summary.still_served:
        made = atomic.pushed_version_of(serving, str(runner.runs["Trainer"].uri("model")))
        summary.is_served = made is not None and str(made) == summary.still_served
    layout.summary.write_text(summary.model_dump_json(indent=1))
    write_metrics(summary, layout.metrics)
    write_report(summary, layout.report)
    print_summary(summary, console)
    for line in how_to_ask(Path(summary.pushed_to)) if summary.pushed_to else ():
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"report: {layout.report}", highlight=False, markup=False)
    return summary


def _doubts(declaration: Declaration) -> list[str]:
    """What weakens every figure of the run, or what is held against it."""
    absent = missing_schema(declaration)
    doubts = [absent] if absent is not None else []
    if not declaration.timestamp.is_random:
        return doubts
    return [
        *doubts,
        f"the log has no time: it was split at random by {declaration.timestamp.column}, not forward in time; the "
        "figures do not tell how the model does tomorrow, and look better than they would",
    ]


def _ingested(ingest: Mapping[str, Any], declaration: Declaration) -> list[str]:
    """Rows left out, values spelled two ways, and days whose clicks seem to be lost: they teach that nobody clicks."""
    doubts = [*left_out(ingest), *(ingest.get("doubts") or [])]
    silent = ingest.get("silent_days") or []
    if not silent:
        return doubts
    return [
        *doubts,
        f"no row of {', '.join(silent[:5])}{' ...' if len(silent) > 5 else ''} is clicked, which chance does not do: "
        f"is {declaration.label} written there as elsewhere? The model learned these rows as they are. dfei dataset "
        "check tells more",
    ]


def _refusal(error: Exception) -> str | None:
    """What a gate said that refused the data or the training; `None` for any other error."""
    known = explain(error)
    return known[0].removesuffix(".") if known is not None and known[1] == GateError.exit_code else None


def _earlier(layout: RunLayout) -> RunSummary | None:
    """The earlier run with this root, or `None`."""
    try:
        return RunSummary.model_validate_json(layout.summary.read_text())
    except (OSError, ValueError):
        return None


def _figures_of(version: str | None, earlier: RunSummary | None) -> Overall | None:
    """What a served version had on the rows of the run that pushed it, as far as the run before this one knows."""
    if version is None or earlier is None:
        return None
    if earlier.pushed_to == version:
        return earlier.evaluation.overall if earlier.evaluation is not None else None
    return earlier.blessed_before if earlier.still_served == version else None


def newest_version(serving: Path) -> str | None:
    """The version that a server which watches this folder serves."""
    versions = [folder for folder in serving.glob("*") if folder.name.isascii() and folder.name.isdigit()]
    return str(max(versions, key=lambda folder: int(folder.name))) if versions else None


def _last_time(layout: RunLayout) -> dict[str, float]:
    """Seconds that the components of the earlier run with this root took; nothing where there was none."""
    earlier = _earlier(layout)
    if earlier is None:
        return {}
    return {name: seconds for name, seconds in earlier.seconds.items() if name not in earlier.cached}


def _about(
    request: RunRequest, declaration: Declaration, runs: dict[str, NodeRun], hashes: dict[str, str]
) -> dict[str, Any]:
    """What a summary says of a run however far it came: what was asked for, what was read, what it cost."""
    ingested = runs.get("DeclaredExampleGen")
    return {
        "dataset": declaration.name,
        "description": declaration.description,
        "licence": declaration.licence,
        "label": declaration.label,
        "domain": declaration.domain,
        "model": declaration.model.name,
        "seed": declaration.seed,
        "command": request.command,
        "directory": str(Path.cwd()),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "ingest": json.loads((ingested.uri("examples") / "ingest_report.json").read_text())
        if ingested
        else {},
        "eval_state": declaration.moving_average.eval_state,
        "train_state": declaration.moving_average.train_state,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "hashes": hashes,
        "seconds": {title(run.node): round(run.seconds, 3) for run in runs.values()},
        "seconds_before": {
            title(run.node): round(run.seconds_before, 3)
            for run in runs.values()
            if run.seconds_before is not None
        },
        "cpu_seconds": {title(run.node): round(run.cpu_seconds, 3) for run in runs.values()},
        "peak_memory_mb": {
            title(run.node): run.peak_memory_mb for run in runs.values() if run.peak_memory_mb
        },
        "cached": [title(run.node) for run in runs.values() if run.cached],
    }


def summarise(
    about: dict[str, Any], declaration: Declaration, data: Path, serving: Path, runs: dict[str, NodeRun]
) -> RunSummary:
    """Everything a report says of a run that came to its end, read from the artifacts of its components."""
    training = read_facts(runs["Trainer"].uri("model_run"))
    evaluation = read_evaluation(str(runs["Evaluator"].uri("evaluation")))
    [anomalies] = runs["StrictExampleValidator"].outputs["anomalies"]
    reasons, pushed_to = decision(runs, serving)
    return RunSummary(
        **about,
        rows={split: about["ingest"][split] for split in ("train", "eval")},
        anomalies=[str(anomaly) for anomaly in read_anomalies(anomalies.uri, ["train", "eval"])],
        evaluation=evaluation,
        history=training["result"]["history"],
        parameters=training["parameters"],
        moving_averages=read_domain_curves(str(runs["Transform"].uri("transform_graph"))),
        integration=training["integration"],
        study=_study(runs["Trainer"].uri("model_run")),
        blessed=not reasons,
        reasons=reasons,
        pushed_to=pushed_to,
        best_possible_auc=best_possible(data, declaration),
    )


def _study(model_run: Path) -> Study | None:
    """What the Trainer found out about its model; `None` where the declaration asks for no study."""
    found = model_run / STUDY
    return Study.model_validate_json(found.read_text()) if found.is_file() else None


def objections(runs: Mapping[str, NodeRun]) -> list[str]:
    """Why the model was refused; empty: it was not."""
    evaluation = read_evaluation(str(runs["Evaluator"].uri("evaluation")))
    reasons = list(evaluation.failures)
    if "SignatureCheck" not in runs:
        return reasons
    checks = json.loads((runs["SignatureCheck"].uri("blessing") / SIGNATURE_REPORT).read_text())
    return reasons + [f"signature check: {c['check']}: {c['detail']}" for c in checks if not c["passed"]]


def decision(
    runs: Mapping[str, NodeRun], serving: Path, told: Mapping[str, str] | None = None
) -> tuple[list[str], str | None]:
    """Why the model was refused (empty: it was not), and the version it was pushed to.

    What a server takes is the newest version, so a blessed model whose version is no longer that is pushed again: the
    Pusher came from the cache, and meanwhile another run pushed there, or somebody deleted the version.

    Args:
      runs: the components that ran to their end, by id.
      serving: the directory that TF Serving watches for the model.
      told: what the version says of its push.
    """
    reasons = objections(runs)
    if reasons:
        return reasons, None
    [model] = runs["Trainer"].outputs["model"]
    request = runs["SignatureCheck"].uri("blessing") / REQUEST.name
    source = Path(path_utils.serving_model_path(model.uri))
    return [], str(atomic.push(source, serving, model.uri, request, told))
