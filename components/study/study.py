"""The study: everything a report says of a model that its metrics do not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from components import progress
from components.dataset.declaration import DAY_MS, Declaration
from components.example_gen.checks import day_name
from components.study import baselines
from components.study.calibration import calibration
from components.study.document import PAST_CLICK_RATE, Baseline, DayRows, Study
from components.study.groups import id_groups, known_ids, trained_domains
from components.study.importance import importance
from components.study.sample import DatedRows, Sample, Score, take
from models.arrays import Array
from models.features import FeatureLayout
from models.metrics import telling_rows
from models.rows import RowSource

STUDY = "study.json"
# A baseline and its click probabilities; None where it could not be trained.
Trained: TypeAlias = "tuple[Baseline, Array | None]"
# A domain of fewer, or of fewer than a tenth of them of a class, has no interval.
_FEWEST = 20


@dataclass(frozen=True)
class Subject:
    """The model that is studied.

    Attributes:
      score: click probabilities (rows,) of row tensors and domains, by the function that is exported.
      layout: what a row has.
      declaration: the data set and the run's settings.
      vocabularies: entries of each feature's vocabulary.
      train_rows, validation_rows: what it was trained with.
    """

    score: Score
    layout: FeatureLayout
    declaration: Declaration
    vocabularies: Mapping[str, int]
    train_rows: RowSource
    validation_rows: RowSource


def study(subject: Subject, train_rows: DatedRows, eval_rows: DatedRows, every: int = 1) -> Study:
    """Studies a model on evaluation rows, at most `report.rows` of them, evenly spread.

    Args:
      subject: the model.
      train_rows: the whole training split.
      eval_rows: the evaluation split, or one of every so many of its rows.
      every: how many.
    """
    began, cpu_began = time.monotonic(), time.process_time()
    declaration, layout = subject.declaration, subject.layout
    grows_trees = _few_enough(subject)
    steps = ["predictions", "click rate", "MLP", *(["LightGBM"] if grows_trees else []), "importance"]

    def begin(step: str) -> None:
        progress.report(
            progress.Progress(f"studying the model: {step}", steps.index(step), len(steps), "steps")
        )

    begin("predictions")
    sample = take(eval_rows, subject.score, declaration.report.rows)
    # The gates' own `min_rows` is none of the Trainer's business: a changed gate must not train anew.
    # A sample thins the domains out alike.
    enough = declaration.training.validation_min_rows * len(sample) // max(1, len(eval_rows.domain) * every)
    # As the Evaluator counts domains, at every number of rows that one may need: the gates' own is not known here.
    order = by_telling_rows(eval_rows)
    known = known_ids(sample, layout, subject.vocabularies)
    counts = {name: feature.min_count for name, feature in declaration.features.items()}
    begin("click rate")
    systems: list[Trained] = [baselines.click_rate(train_rows, sample, layout)]
    begin("MLP")
    systems += _mlp(subject, sample)
    if grows_trees:
        begin("LightGBM")
        systems.append(_trees(subject, sample))
    found = [
        baseline
        if prediction is None
        else baseline.model_copy(
            update={
                "leads": baselines.leads(
                    sample,
                    prediction,
                    layout,
                    order,
                    declaration.seed,
                    together=baseline.name == PAST_CLICK_RATE,
                )
            }
        )
        for baseline, prediction in systems
    ]
    begin("importance")
    important, shuffled = importance(
        sample, subject.score, layout, declaration.domain, enough, declaration.seed
    )
    return Study(
        rows=len(sample),
        of=len(eval_rows.domain) * every,
        baselines=found,
        calibration=calibration(sample, layout.domains, enough),
        groups=id_groups(sample, known, layout, counts),
        importance=important,
        importance_rows=shuffled,
        days=days({"train": train_rows, "eval": eval_rows}, every, declaration.split.day_ms),
        domains=trained_domains(train_rows, sample, known, layout),
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - cpu_began,
    )


def by_telling_rows(rows: DatedRows) -> list[int]:
    """The domains that may decide, those that do so at the highest numbers of rows first."""
    domain, label = np.asarray(rows.domain), np.asarray(rows.label) > 0
    shown = np.bincount(domain)
    telling = telling_rows(shown, np.bincount(domain, label, len(shown)).astype(np.int64))
    order = np.argsort(-telling, kind="stable")
    return [int(found) for found in order if telling[found] >= _FEWEST]


def days(
    splits: Mapping[Literal["train", "eval"], DatedRows], every: int = 1, day_ms: int = DAY_MS
) -> list[DayRows]:
    """Impressions and clicks by day, `day_ms` long, and split; of `eval` one row stands for `every` rows."""
    found = []
    for split, rows in splits.items():
        seen, place = np.unique(rows.day, return_inverse=True)
        clicks = np.bincount(place, np.asarray(rows.label, np.float64), len(seen))
        for day, count, positives in zip(seen, np.bincount(place, minlength=len(seen)), clicks, strict=True):
            name = day_name(int(day), day_ms)
            stands_for = every if split == "eval" else 1
            found.append(
                DayRows(
                    day=name, split=split, rows=int(count) * stands_for, positives=int(positives) * stands_for
                )
            )
    return sorted(found, key=lambda entry: entry.day)


def _mlp(subject: Subject, sample: Sample) -> list[Trained]:
    """Nothing where the model is an MLP itself."""
    declaration = subject.declaration
    if declaration.model.name == "mlp":
        return []
    rows = subject.train_rows, subject.validation_rows
    return [
        baselines.mlp(
            *rows, sample, subject.layout, declaration.model, declaration.training, declaration.seed
        )
    ]


def _few_enough(subject: Subject) -> bool:
    """Whether the report grows trees on so many rows."""
    rows = sum(len(part.domain) for part in (subject.train_rows, subject.validation_rows))
    return rows <= subject.declaration.report.trees_rows


def _trees(subject: Subject, sample: Sample) -> Trained:
    declaration = subject.declaration
    rows = subject.train_rows, subject.validation_rows
    return baselines.trees(
        *rows, sample, subject.layout, declaration.model, declaration.training, declaration.seed
    )
