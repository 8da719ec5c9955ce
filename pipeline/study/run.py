"""`dfei study`: from a plan to comparisons, tests over all of them, and one page."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.compare.request import checked
from pipeline.compare.run import compare
from pipeline.layout import RunLayout
from pipeline.report.metrics import write_whole
from pipeline.request import data_dir, make_writable
from pipeline.root_lock import root_lock
from pipeline.screen import as_is
from pipeline.study.plan import AUC, Group, Plan, Point
from pipeline.study.result import Cost, GroupFacts, Measured, StudiedPoint, StudyResult, Tested

if TYPE_CHECKING:
    from rich.console import Console

    from components.comparison.scores import Scored
    from pipeline.compare.collect import Evidence
    from pipeline.compare.result import Comparison
    from pipeline.study.measure import Curves

POINTS = "points"


@dataclasses.dataclass(frozen=True)
class _Done:
    """What is kept of a point: numbers, not scores."""

    point: Point
    comparison: Comparison
    studied: StudiedPoint
    measured: list[Measured]
    curves: Mapping[str, Curves]
    groups: list[str]
    models: dict[str, str]


def study(plan: Plan, root: Path, console: Console) -> StudyResult:
    """Runs the comparisons of a study one after another; after each `study.json` and `study.html` hold all so far.

    Args:
      plan: what to compare.
      root: the folder for everything; what is done there already is not done again.
      console: where progress and the tables are shown.

    Raises:
      InputError: the data, a model's name or a setting is wrong.
      GateError: the data does not fit its schema, or a model diverged.
    """
    begun = time.monotonic()
    layout = RunLayout(root.resolve())
    make_writable(layout.root)
    with root_lock(layout.lock):
        done: list[_Done] = []
        for number, point in enumerate(plan.points, 1):
            console.rule(f"{plan.name}: {as_is(point.label)} ({number} of {len(plan.points)})")
            done.append(_compared(point, plan.metrics, layout, console))
            from pipeline.study.html import write_page
            from pipeline.study.table import print_study

            result = _result(plan, done, time.monotonic() - begun)
            write_whole(layout.study, result.model_dump_json(indent=1))
            write_page(result, layout.study_page)
        console.rule(plan.name)
        print_study(result, console)
        console.print(f"result: {layout.study}\nreport: {layout.study_page}", highlight=False, markup=False)
    return result


def _compared(point: Point, metrics: Sequence[str], layout: RunLayout, console: Console) -> _Done:
    data = point.data(layout.root) if point.data is not None else point.request.data
    root = layout.root / POINTS / point.name
    request = dataclasses.replace(point.request, data=data, root=root)
    if point.settings is not None:
        _, declaration = checked(request)
        further = point.settings(declaration, data_dir(data, declaration, layout))
        request = dataclasses.replace(request, overrides=(*request.overrides, *further))
    comparison, evidence = compare(request, console)
    from pipeline.study.measure import curves, measured

    groups = point.groups(evidence)
    titles = {model.name: model.title for model in comparison.models}
    scored: dict[str, Sequence[Scored]] = {titles[name]: runs for name, runs in evidence.scored.items()}
    if point.further is not None:
        scored |= point.further(evidence, comparison)
    found = {metric: curves(scored, groups, metric) for metric in metrics}
    return _Done(
        point,
        comparison,
        _studied(point, comparison, evidence, groups, root.relative_to(layout.root)),
        measured(point.name, scored, groups, found[AUC]),
        found,
        list(groups),
        {**titles, **{title: title for title in scored if title not in titles.values()}},
    )


def _studied(
    point: Point, comparison: Comparison, evidence: Evidence, groups: Mapping[str, Group], folder: Path
) -> StudiedPoint:
    rows = evidence.rows
    return StudiedPoint(
        name=point.name,
        label=point.label,
        rows=comparison.rows,
        domains=evidence.material.layout.domain_count if evidence.material else len(rows.domains),
        groups={
            name: GroupFacts(
                rows=int(group.rows.sum()),
                positives=int((rows.label[group.rows] == 1).sum()),
                domains=len(np.unique(rows.domain[group.rows])),
                best=group.best,
                expected=group.probability is not None,
            )
            for name, group in groups.items()
        },
        costs={
            model.title: Cost(
                rows_per_second=model.rows_per_second,
                training_seconds=model.training_seconds,
                cpu_seconds=_median([run.cpu_seconds for run in model.trained]),
                peak_memory_mb=_median([run.peak_memory_mb for run in model.trained]),
                parameters=model.parameters,
                latency=model.latency,
            )
            for model in comparison.models
        },
        comparison=str(folder),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _result(plan: Plan, done: Sequence[_Done], seconds: float) -> StudyResult:
    from pipeline.study.measure import SAMPLES, adjust

    latest = done[0].comparison
    reference = done[0].models.get(plan.reference, next(iter(done[0].models.values())))
    tests = _tests(plan, done, reference)
    adjust(tests)
    return StudyResult(
        name=plan.name,
        question=plan.question,
        axis=plan.axis,
        command=latest.command,
        directory=latest.directory,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        versions=latest.versions,
        seeds=latest.seeds,
        samples=SAMPLES,
        reference=reference,
        models=list(dict.fromkeys(title for one in done for title in one.models.values())),
        points=[one.studied for one in done],
        measured=[found for one in done for found in one.measured],
        tests=tests,
        wall_seconds=round(seconds, 1),
    )


def _tests(plan: Plan, done: Sequence[_Done], reference: str) -> list[Tested]:
    """Within each point the reference against the other models; or each point's reference against that of another."""
    from pipeline.study.measure import against

    tests: list[Tested] = []
    base = next((one for one in done if one.point.name == plan.reference_point), None)
    for one in done:
        for group in one.groups:
            for metric, curves in one.curves.items():
                own = curves[group, reference]
                if base is not None and one is not base and group in base.groups:
                    theirs = (base.point.label, base.curves[metric][group, reference])
                    tests += against(one.point.name, group, (one.point.label, own), [theirs], metric)
                if base is None or one is base:
                    others = [
                        (title, curve)
                        for (name, title), curve in curves.items()
                        if name == group and title != reference
                    ]
                    tests += against(one.point.name, group, (reference, own), others, metric)
    return tests
