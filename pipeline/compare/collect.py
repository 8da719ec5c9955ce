"""From the artifacts of a comparison to its result: exact metrics of the stored scores, tests, costs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from components.comparison.scores import EvaluationRows, Scored, user_weights
from components.comparison.significance import (
    UserTest,
    average_of,
    domain_bootstrap,
    paired_test,
    seed_test,
)
from components.dataset.declaration import Declaration
from components.decoded_rows.evaluated import EvaluatedRows, read_evaluated
from components.evaluator.reading import read_evaluation
from components.latency.component import REPORT as LATENCY_REPORT
from components.study.baselines import click_rate
from components.study.sample import Sample
from components.trainer.compared import SCORES, read_facts
from components.trainer.row_store import RowStore, open_rows
from components.transform.row_layout import read_layout
from models.features import FeatureLayout
from models.metrics import gauc, log_loss
from pipeline.compare.create import node
from pipeline.compare.result import (
    Compared,
    EvaluatedDomain,
    PastClickRate,
    Response,
    Spread,
    Trained,
    Trial,
    Versus,
    chosen,
)
from pipeline.compare.variants import REFERENCE, Variant
from pipeline.events import NodeRun

Runs = Mapping[str, NodeRun]
SAMPLES = 500
BOOTSTRAP_SEED = 1


@dataclasses.dataclass(frozen=True)
class Material:
    """What the models read.

    Attributes:
      evaluated: the inputs of the evaluation rows, in the order of their scores.
      trained: the inputs of the rows that they learned from, those to validate with among them.
      layout: what both hold, and the domains that the models know, with their training rows.
      transform_graph: its folder.
    """

    evaluated: RowStore
    trained: RowStore
    layout: FeatureLayout
    transform_graph: str


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What every number of a comparison comes from.

    Attributes:
      rows: what every model was evaluated on; domains by their values, most rows first.
      users: who saw each row, as text, (rows,).
      scored: each model's scores, one per seed.
      material: what the models read.
    """

    rows: EvaluationRows
    users: npt.NDArray[np.str_]
    scored: Mapping[str, Sequence[Scored]]
    material: Material | None = None

    @property
    def reference(self) -> str:
        """The model that the others are tested against."""
        return REFERENCE if REFERENCE in self.scored else next(iter(self.scored))


def evidence(
    runs: Runs, variants: Sequence[Variant], seeds: Sequence[int], declaration: Declaration
) -> Evidence:
    """The evaluation rows, and every training's scores of them.

    Args:
      runs: the components' runs, by id.
      variants: what was compared.
      seeds: of the trainings.
      declaration: the data set.
    """
    graph, decoded = str(runs["Transform"].uri("transform_graph")), runs["DecodedRows"].uri("rows")
    layout = read_layout(graph, declaration)
    evaluated = read_evaluated(decoded / "Split-eval", layout)
    rows = evaluated_rows(evaluated, declaration.evaluation.min_rows)
    scored = {
        variant.name: [
            Scored(rows, np.load(runs[node("Trainer", variant.name, seed)].uri("model_run") / SCORES))
            for seed in seeds
        ]
        for variant in variants
    }
    trained = open_rows(decoded / "Split-train", layout).of_known_domains()
    return Evidence(rows, evaluated.user, scored, Material(evaluated.store, trained, layout, graph))


def evaluated_rows(evaluated: EvaluatedRows, min_rows: int) -> EvaluationRows:
    """Domains and users as numbers.

    Args:
      evaluated: the evaluation rows.
      min_rows: rows that a domain needs to count.
    """
    names, index, count = np.unique(evaluated.domain, return_inverse=True, return_counts=True)
    order = np.lexsort((names, -count))
    place = np.empty(len(names), int)
    place[order] = np.arange(len(names))
    _, user = np.unique(evaluated.user, return_inverse=True)
    return EvaluationRows(
        label=evaluated.store.label,
        domain=place[index],
        user=user,
        domains=tuple(str(name) for name in names[order]),
        min_rows=min_rows,
    )


def evaluated_domains(rows: EvaluationRows, best: Mapping[str, float | None]) -> dict[str, EvaluatedDomain]:
    """Rows and clicks of each domain.

    Args:
      rows: the evaluation rows.
      best: the best possible AUC by domain, for a simulated feed.
    """
    counted = set(rows.counted())
    return {
        name: EvaluatedDomain(
            rows=int((rows.domain == d).sum()),
            positives=int((rows.label[rows.domain == d] == 1).sum()),
            counts=d in counted,
            best_possible_auc=best.get(name),
        )
        for d, name in enumerate(rows.domains)
    }


def compared(
    runs: Runs,
    variants: Sequence[Variant],
    seeds: Sequence[int],
    found: Evidence,
    best_average: float | None = None,
    champion: str = "",
) -> tuple[list[Compared], dict[str, Versus], PastClickRate | None]:
    """Every model's result, best average AUC first; the champion, or what would be it, minus each other model; and
    what the past click rate reaches.

    Args:
      runs: the components' runs, by id.
      variants: what was compared.
      seeds: of the trainings.
      found: their scores.
      best_average: the best possible average AUC of a simulated feed.
      champion: the name of the model that the user wants to be it; empty: what the validation days choose.
    """
    models = [_model(runs, variant, seeds, found.scored[variant.name]) for variant in variants]
    resampled = Resampled(models, found.scored)
    versus = resampled.versus(found.reference)
    choice = chosen(models)
    champion = champion or (choice.name if choice is not None else "")
    for model in models:
        model.versus = versus.get(model.name)
        mean = model.average_auc.mean
        model.below_best = None if best_average is None or mean is None else best_average - mean
    models.sort(key=lambda m: -(m.average_auc.mean if m.average_auc.mean is not None else float("-inf")))
    for rank, model in enumerate(models, 1):
        model.rank = rank
    return models, resampled.versus(champion), past_click_rate(found, resampled)


def past_click_rate(found: Evidence, resampled: Resampled) -> PastClickRate | None:
    """The click rate that each row's item had in its domain, as a system; None where the models' rows are not at hand.

    Args:
      found: the rows and the models' scores of them.
      resampled: the models.
    """
    material = found.material
    if material is None:
        return None
    store = material.evaluated
    count = len(store.label)
    everything = Sample(store, np.arange(count), store.domain, store.label, np.zeros(count))
    baseline, prediction = click_rate(material.trained, everything, material.layout)
    scored = Scored(found.rows, prediction)
    return PastClickRate(
        description=baseline.description,
        average_auc=scored.average_auc(),
        overall_auc=scored.overall_auc(),
        gauc=gauc(found.rows.label, prediction, found.rows.user),
        log_loss=log_loss(found.rows.label, prediction),
        versus=resampled.over(found.reference, scored),
    )


class Resampled:
    """Models on the same resampled sets of users; each model's AUCs are computed once.

    Args:
      models: what is compared.
      scored: their scores, one per seed.
    """

    def __init__(self, models: Sequence[Compared], scored: Mapping[str, Sequence[Scored]]) -> None:
        self._models = {model.name: model for model in models if model.average_auc.mean is not None}
        self._scored = scored
        self._weights: list[npt.NDArray[np.float64]] = []
        self._samples: dict[str, npt.NDArray[np.float64]] = {}

    def versus(self, name: str) -> dict[str, Versus]:
        """A model minus each other one; empty where it has no average AUC."""
        if name not in self._models:
            return {}
        return {other: self._versus(name, other) for other in self._models if other != name}

    def over(self, name: str, other: Scored) -> Versus | None:
        """A model minus something without seeds; None where one of them has no average AUC."""
        average, rows = other.average_auc(), other.rows
        if name not in self._models or average is None:
            return None
        by_domain = {domain: other.domain_auc(d) for d, domain in enumerate(rows.domains)}
        averages = [average] * len(self._models[name].trained)
        samples = self._of(name)
        return self._test(name, averages, by_domain, samples, domain_bootstrap([other], self._weights))

    def _versus(self, one: str, two: str) -> Versus:
        other = self._models[two]
        averages = [run.average_auc for run in other.trained]
        return self._test(one, averages, other.domain_auc, self._of(one), self._of(two))

    def _test(
        self,
        name: str,
        averages: Sequence[float | None],
        domain_auc: Mapping[str, float | None],
        samples: npt.NDArray[np.float64],
        theirs: npt.NDArray[np.float64],
    ) -> Versus:
        """A model against another, of which are given: average AUC by seed, mean AUC by domain, and its samples."""
        own = self._models[name]
        pairs = [(run.average_auc, b) for run, b in zip(own.trained, averages, strict=True)]
        seeds = seed_test([a for a, _ in pairs if a is not None], [b for _, b in pairs if b is not None])
        users = paired_test(seeds.difference, average_of(samples), average_of(theirs))
        rows = self._scored[name][0].rows
        return Versus.of(seeds, users, _within_domains(own.domain_auc, domain_auc, rows, samples, theirs))

    def _of(self, name: str) -> npt.NDArray[np.float64]:
        """(samples, counted domains)."""
        if name not in self._samples:
            self._weights = self._weights or user_weights(
                self._scored[name][0].rows.user, SAMPLES, BOOTSTRAP_SEED
            )
            self._samples[name] = domain_bootstrap(self._scored[name], self._weights)
        return self._samples[name]


def _within_domains(
    own: Mapping[str, float | None],
    others: Mapping[str, float | None],
    rows: EvaluationRows,
    samples: npt.NDArray[np.float64],
    theirs: npt.NDArray[np.float64],
) -> dict[str, UserTest]:
    """The test over users within each domain that counts; `samples` and `theirs` (samples, counted domains)."""
    found = {}
    for column, domain in enumerate(rows.counted()):
        name = rows.domains[domain]
        difference = (own[name] or 0.0) - (others[name] or 0.0)
        found[name] = paired_test(difference, samples[:, column], theirs[:, column])
    return found


def _model(runs: Runs, variant: Variant, seeds: Sequence[int], scored: Sequence[Scored]) -> Compared:
    trained = [_trained(runs, variant, seed, score) for seed, score in zip(seeds, scored, strict=True)]
    facts = read_facts(runs[node("Trainer", variant.name, seeds[0])].uri("model_run"))
    tuned: dict[str, Any] = facts["tuned"] or {}
    rows = scored[0].rows
    return Compared(
        name=variant.name,
        title=variant.title,
        model=variant.model,
        settings=list(variant.settings),
        tuned=tuned.get("settings", []),
        trials=[Trial(**trial) for trial in tuned.get("trials", [])],
        parameters=facts["parameters"],
        trained=trained,
        average_auc=Spread.of([run.average_auc for run in trained]),
        overall_auc=Spread.of([run.overall_auc for run in trained]),
        gauc=Spread.of([run.gauc for run in trained]),
        log_loss=Spread.of([run.log_loss for run in trained]),
        validation_average_auc=Spread.of([run.validation_average_auc for run in trained]),
        domain_auc={
            name: Spread.of([score.domain_auc(d) for score in scored]).mean
            for d, name in enumerate(rows.domains)
        },
        rows_per_second=float(np.median([run.rows_per_second for run in trained])),
        training_seconds=float(np.median([run.training_seconds for run in trained])),
        latency=_latency(runs, variant),
        blessed=sum(run.blessed for run in trained),
    )


def _latency(runs: Runs, variant: Variant) -> dict[str, Response]:
    measured = runs.get(node("Latency", variant.name))
    if measured is None:
        return {}
    report = json.loads((measured.uri("latency") / LATENCY_REPORT).read_text())
    return {size: Response(**found) for size, found in report.items()}


def _trained(runs: Runs, variant: Variant, seed: int, scored: Scored) -> Trained:
    trainer = runs[node("Trainer", variant.name, seed)]
    facts = read_facts(trainer.uri("model_run"))
    evaluator = runs.get(node("Evaluator", variant.name, seed))
    evaluation = read_evaluation(str(evaluator.uri("evaluation"))) if evaluator is not None else None
    rows = scored.rows
    return Trained(
        seed=seed,
        average_auc=scored.average_auc(),
        overall_auc=scored.overall_auc(),
        gauc=gauc(rows.label, scored.score, rows.user),
        log_loss=log_loss(rows.label, scored.score),
        evaluator_average_auc=evaluation.average_auc if evaluation else None,
        validation_average_auc=facts["validation_average_auc"],
        validation=facts["validation"],
        epochs=facts["result"]["best_epoch"],
        rows_per_second=facts["rows_per_second"],
        training_seconds=facts["seconds"],
        cpu_seconds=facts.get("cpu_seconds"),
        peak_memory_mb=facts.get("peak_memory_mb"),
        blessed=evaluation is not None and evaluation.blessed,
        failures=evaluation.failures if evaluation else [],
        model_uri=str(trainer.uri("model")),
    )


def seconds_of(runs: Runs) -> tuple[dict[str, float], dict[str, float]]:
    """Wall-clock and processor seconds by component, of those that ran."""
    ran = [run for run in runs.values() if not run.cached and run.outputs]
    return {run.node: round(run.seconds, 2) for run in ran}, {
        run.node: round(run.cpu_seconds, 2) for run in ran
    }
