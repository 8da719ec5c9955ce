"""Runs the comparison's pipeline and writes what came out. Imports TFX: only once the request is known to be good."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from components.champion import strategy
from components.dataset.declaration import Declaration
from components.dataset.files import data_fingerprint
from components.trainer.compared import read_facts
from pipeline.best_possible import best_possible
from pipeline.code_hash import COMPONENTS, code_hash
from pipeline.compare.collect import SAMPLES, Evidence, compared, evaluated_domains, evidence, seconds_of
from pipeline.compare.create import CHAMPION, ComparisonSettings, create_comparison
from pipeline.compare.display import CompareDisplay
from pipeline.compare.html import set_aside, write_page
from pipeline.compare.request import CompareRequest, default_jobs
from pipeline.compare.result import Champion, Compared, Comparison
from pipeline.compare.runner import ParallelRunner
from pipeline.compare.table import print_comparison
from pipeline.compare.variants import Variant
from pipeline.compare.workers import WorkerPool
from pipeline.events import NodeRun
from pipeline.example_curl import how_to_ask
from pipeline.execute import PACKAGES, decision
from pipeline.place import Place
from pipeline.report.metrics import write_whole
from pipeline.report.numbers import plural
from pipeline.screen import as_is

BASELINES = ("lightgbm", "optuna")


def execute(
    request: CompareRequest, variants: Sequence[Variant], declaration: Declaration, place: Place
) -> tuple[Comparison, Evidence]:
    """Runs every component, then writes `comparison.json` and `comparison.html` and prints the table.

    Args:
      request: what the user asked for.
      variants: what is compared.
      declaration: validated, with the command line's settings.
      place: where; its console shows progress, then the result.
    """
    data, layout, console = place.data, place.layout, place.console
    begun = time.monotonic()
    jobs = request.jobs or default_jobs()
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    seeds = [declaration.seed + number for number in range(request.seeds)]
    console.print(
        f"[bold]{declaration.name}[/]: {as_is(data)} → {plural(len(variants), 'model')}, "
        f"{plural(len(seeds), 'seed')} each",
        highlight=False,
    )
    fingerprint = data_fingerprint(declaration, str(data))
    pipeline = create_comparison(
        ComparisonSettings(
            **place.settings(declaration, fingerprint, CHAMPION),
            variants=variants,
            seeds=seeds,
            trials=request.trials,
            push=request.push,
            champion=request.champion,
            latency=request.latency,
            evaluator=request.evaluator,
        )
    )
    with CompareDisplay(console) as display, WorkerPool(jobs, threads, display.progress) as pool:
        runner = ParallelRunner(
            pool,
            jobs,
            alone=lambda name: name.startswith("Latency."),
            optional=(CHAMPION,),
            listener=display.node,
        )
        runner.run(pipeline)
    runs = runner.runs
    found = evidence(runs, variants, seeds, declaration)
    rows = found.rows
    best = best_possible(data, declaration) or {}
    models, versus_champion, past = compared(
        runs, variants, seeds, found, best.get("average_auc"), request.champion
    )
    champion, refused = (
        _champion(runs, models, place.serving / CHAMPION, request.champion) if request.push else (None, [])
    )
    seconds, cpu_seconds = seconds_of(runs)
    facts = read_facts(runs[f"Trainer.{variants[0].name}.{seeds[0]}"].uri("model_run"))
    comparison = Comparison(
        dataset=declaration.name,
        description=declaration.description,
        licence=declaration.licence,
        label=declaration.label,
        domain=declaration.domain,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        command=request.command,
        directory=str(Path.cwd()),
        versions={"python": platform.python_version(), **{n: version(n) for n in (*PACKAGES, *BASELINES)}},
        hashes={"data": fingerprint, **{f"code of {name}": code_hash(name) for name in COMPONENTS}},
        seeds=seeds,
        trials=request.trials,
        jobs=jobs,
        threads=threads,
        bootstrap_samples=SAMPLES,
        rows={
            "train": facts["train_rows"],
            "validation": facts["validation_rows"],
            "eval": len(rows.label),
        },
        users=int(rows.user.max()) + 1,
        min_rows=rows.min_rows,
        domains=evaluated_domains(
            rows, {name: score["auc"] for name, score in best.get("domains", {}).items()}
        ),
        reference=found.reference,
        models=models,
        past_click_rate=past,
        champion=champion,
        versus_champion=versus_champion,
        refused=refused,
        gated=request.evaluator,
        best_possible_average_auc=best.get("average_auc"),
        best_possible_overall_auc=best.get("overall_auc"),
        cached=[run.node for run in runs.values() if run.cached],
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        wall_seconds=round(time.monotonic() - begun, 1),
    )
    kept = set_aside(layout, [variant.name for variant in variants])
    write_whole(layout.comparison, comparison.model_dump_json(indent=1))
    write_page(comparison, layout.comparison_page)
    print_comparison(comparison, console)
    if champion is not None and champion.pushed_to:
        for line in how_to_ask(Path(champion.pushed_to)):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    if kept is not None:
        console.print(f"the earlier comparison, of other models too: {kept}", highlight=False, markup=False)
    console.print(
        f"result: {layout.comparison}\nreport: {layout.comparison_page}", highlight=False, markup=False
    )
    return comparison, found


def _champion(
    runs: dict[str, NodeRun], models: Sequence[Compared], serving: Path, only: str
) -> tuple[Champion | None, list[str]]:
    """The champion, where it was pushed, and why not."""
    if not any(runs[CHAMPION].outputs.values()):
        return None, [f"no {f'training of {only}' if only else 'model'} passed its gates"]
    facts = read_facts(runs[CHAMPION].uri(strategy.MODEL_RUN))
    chosen = dict(runs)
    trainer, evaluator = (f"{name}.{facts['compared']}.{facts['seed']}" for name in ("Trainer", "Evaluator"))
    chosen["Trainer"], chosen["Evaluator"] = runs[trainer], runs[evaluator]
    reasons, pushed_to = decision(chosen, serving)
    of = next(model for model in models if model.name == facts["compared"])
    champion = Champion(
        name=facts["compared"],
        seed=facts["seed"],
        validation_average_auc=facts["validation_average_auc"],
        average_auc=next(run.average_auc for run in of.trained if run.seed == facts["seed"]),
        pushed_to=pushed_to,
    )
    return champion, reasons
