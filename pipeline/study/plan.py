"""What a study is made of. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pipeline.compare.request import CompareRequest

if TYPE_CHECKING:
    from components.comparison.scores import Scored
    from components.dataset.declaration import Declaration
    from pipeline.compare.collect import Evidence
    from pipeline.compare.result import Comparison

Rows = npt.NDArray[np.bool_]

AUC, LOG_LOSS = "AUC", "log loss"


@dataclasses.dataclass(frozen=True)
class Group:
    """Evaluation rows that are looked at by themselves.

    Attributes:
      rows: which, bool (rows,).
      probability: the true click probability of each of them; None where it is not known. Figures are then what is to
        be expected of these (`pipeline.study.expected`).
      best: what the true click probabilities reach on them.
    """

    rows: Rows
    probability: npt.NDArray[np.float64] | None = None
    best: float | None = None


Groups = Callable[["Evidence"], Mapping[str, Group]]
Further = Callable[["Evidence", "Comparison"], Mapping[str, Sequence["Scored"]]]


@dataclasses.dataclass(frozen=True)
class Point:
    """One comparison of a study.

    Attributes:
      name: of its folder.
      label: on the axis.
      request: of the comparison; its `root` and `data` are filled in.
      data: makes the data below a folder and returns where they are; None: the request names them.
      settings: of all models, that follow from the declaration and the data in a folder.
      groups: the rows that are looked at.
      further: scores of systems beyond the models of the comparison, by title; one per seed.
    """

    name: str
    label: str
    request: CompareRequest
    groups: Groups
    data: Callable[[Path], Path] | None = None
    settings: Callable[[Declaration, Path], Sequence[str]] | None = None
    further: Further | None = None


@dataclasses.dataclass(frozen=True)
class Plan:
    """A study.

    Attributes:
      name: of the study.
      question: one sentence.
      axis: what differs between the points.
      points: in the order of the axis, at least one.
      reference: the model that the others are tested against.
      reference_point: the point that the others are tested against, model by model; None: models are tested within
        each point. Its evaluation rows are those of all points.
      metrics: what is tested: `AUC` of the pairs within domains, `LOG_LOSS`.
    """

    name: str
    question: str
    axis: str
    points: Sequence[Point]
    reference: str = "dfei"
    reference_point: str | None = None
    metrics: tuple[str, ...] = (AUC,)


@dataclasses.dataclass(frozen=True)
class StudyRequest:
    """What all studies are asked for.

    Attributes:
      root: the folder for everything.
      models: names of `pipeline.compare.variants`.
      seeds: trainings of each.
      jobs: trainings at once; None for one per core.
      trials: settings tried for each model.
      overrides: settings for all.
      command: as it was typed.
    """

    root: Path
    models: tuple[str, ...]
    seeds: int
    jobs: int | None = None
    trials: int = 0
    overrides: tuple[str, ...] = ()
    command: str = ""

    def compare(
        self,
        overrides: Sequence[str] = (),
        dataset: str = "simulated",
        data: Path | None = None,
        latency: bool = False,
    ) -> CompareRequest:
        """The comparison of one point."""
        return CompareRequest(
            dataset=dataset,
            data=data,
            root=self.root,
            overrides=(*self.overrides, *overrides),
            models=self.models,
            seeds=self.seeds,
            jobs=self.jobs,
            trials=self.trials,
            latency=latency,
            evaluator=False,
            command=self.command,
        )
