"""The pipeline of `dfei daily` as a package, between a task that resolves the day and one that closes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.pipeline import Pipeline

from components.dataset.declaration import Declaration
from kubeflow import runtime_parameters as names
from kubeflow.close_day import SOURCES, CloseDay
from kubeflow.package import Package
from kubeflow.resolve_day import ResolveDay
from pipeline.daily.create import DaySettings, Given, create_day_pipeline
from pipeline.daily.ledger import Carry

# The part of the declaration that a task needs, a name in `kubeflow.overrides.VIEWS`.
DECLARED_TASKS = {
    names.EXAMPLE_GEN: "ingestion",
    names.DATA_GATES: "gates",
    names.TRANSFORM: "transform",
    names.CANDIDATE: "trainer",
    names.TRAINER: "trainer",
    names.SIGNATURES: "signatures",
    names.EVALUATOR: "evaluation",
}
# What may be absent: on the first days there is nothing to go on from, and nothing to be compared with.
OPTIONAL = {
    names.TRANSFORM: "prior_state",
    names.CANDIDATE: "earlier_run",
    names.EVALUATOR: "baseline_model",
}
# Whose refusal ends the day, and the output that says so.
GATES = {
    names.VALIDATOR: "anomalies",
    names.DATA_GATES: "figures",
    names.PROGRESSIVE_GATE: "verdict",
}


def create(declaration: Declaration, pipeline_root: str, beam_args: tuple[str, ...]) -> Pipeline:
    """The pipeline, of which each run fills in the day.

    Args:
      declaration: of the feed.
      pipeline_root: the store for artifacts; empty: the cluster's own.
      beam_args: Beam's options.
    """
    of_the_run = dict.fromkeys(("data_dir", "schema_file", "root", "accept", "first_day"), "")
    resolve = ResolveDay(declaration=declaration.to_json(), push_destination="{}", **of_the_run)
    given = Given(
        service=resolve.outputs["service"],
        earlier_run=resolve.outputs["earlier_run"],
        state=resolve.outputs["state"],
        nodes=(resolve,),
    )
    settings = DaySettings(
        declaration=declaration,
        day="",
        data_dir="",
        data_fingerprint="runtime",
        carry=Carry(),
        rebase=False,
        accepted=False,
        root="",
        schema_file="",
        pipeline_root=pipeline_root,
        serving_dir="",
        work_dir=None,
        beam_args=beam_args,
    )

    def close(nodes: Mapping[str, BaseNode]) -> BaseNode:
        outputs = {name: nodes[node].outputs[key] for name, (node, key, _) in SOURCES.items()}
        return CloseDay(resolve.outputs["day"], outputs)

    return create_day_pipeline(settings, given, close)


def wire(package: Package, schema_text: str) -> None:
    """Tells every task its day, whose refusal ends it, and what it may lack.

    Args:
      package: changed in place.
      schema_text: the schema, which the image need not have.
    """
    package.constant(names.RESOLVE, names.PREFIX + names.VIEW, "feed")
    package.constant(names.RESOLVE, names.PREFIX + names.SCHEMA_TEXT, schema_text)
    for name in package.tasks:
        if name == names.RESOLVE:
            continue
        if name == names.CLOSE:
            package.constant(name, names.KEEPS_ABSENT, "1")
            continue
        package.constant(name, names.TASK, name)
        package.constant(name, names.OPTIONAL, OPTIONAL.get(name, ""))
        if name in DECLARED_TASKS:
            package.constant(name, names.PREFIX + names.VIEW, DECLARED_TASKS[name])
        package.artifact(name, names.DAY, names.RESOLVE, "day")
        for gate in sorted(_before(package, name) & GATES.keys()):
            package.artifact(name, names.AFTER + gate.lower(), gate, GATES[gate])
    # A first day ends with its state, and one whose candidate is refused with that.
    package.artifact(names.CANDIDATE, names.NEEDS + "state", names.RESOLVE, "state")
    package.artifact(names.TRAINER, names.NEEDS + "blessing", names.EVALUATOR, "blessing")


def _before(package: Package, task: str) -> set[str]:
    """The tasks that a task waits for, directly or not."""
    found: set[str] = set()
    waiting: list[Iterable[str]] = [package.tasks[task].dependent_tasks]
    while waiting:
        for name in waiting.pop():
            if name not in found:
                found.add(name)
                waiting.append(package.tasks[name].dependent_tasks)
    return found
