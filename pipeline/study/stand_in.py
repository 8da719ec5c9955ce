"""What a trained DFEI would say of rows if they were of another domain: what new domains are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tfx.utils import path_utils

from components.comparison.scores import Scored
from components.trainer.row_store import RowStore
from components.transform.domain_curves import read_domain_curves
from pipeline.compare.collect import Evidence
from pipeline.compare.result import Comparison
from pipeline.study.groups import material

LARGEST = "DFEI as its largest domain"
NEAREST = "DFEI as the nearest domain by behaviour"
_ROWS_AT_ONCE = 8192


def scored(evidence: Evidence, comparison: Comparison, late: Sequence[str]) -> dict[str, list[Scored]]:
    """Scores of DFEI with other domains in the place of some.

    Args:
      evidence: of a comparison with DFEI; nothing comes of one without.
      comparison: its result.
      late: the domains that others stand in for: the largest of the others, and where they have averages of their own,
        the one whose averages at the end of training are nearest, in standard deviations over the domains.
    """
    trained = next((model.trained for model in comparison.models if model.name == "dfei"), None)
    if trained is None:
        return {}
    read = material(evidence)
    place = {name: n for n, name in enumerate(read.layout.domains)}
    largest = next(n for name, n in place.items() if name not in late)
    nearest = _nearest(read.transform_graph, late)
    names = np.array(evidence.rows.domains)[evidence.rows.domain]
    systems: dict[str, Mapping[str, int]] = {LARGEST: dict.fromkeys(late, largest)}
    if nearest:
        systems[NEAREST] = {name: place[other] for name, other in nearest.items()}
    found: dict[str, list[Scored]] = {title: [] for title in systems}
    for run, own in zip(trained, evidence.scored["dfei"], strict=True):
        model = tf.saved_model.load(path_utils.serving_model_path(str(Path(run.model_uri))))
        for title, stands in systems.items():
            score = np.array(own.score, np.float64)
            at = np.flatnonzero(np.isin(names, list(stands)))
            domain = np.array([stands[name] for name in names[at]], np.int32)
            score[at] = _asked(model, read.evaluated, at, domain)
            found[title].append(Scored(evidence.rows, score))
    return found


def _nearest(transform_graph: str, late: Sequence[str]) -> dict[str, str]:
    """The other domain with the nearest averages, for each of the late ones that has averages."""
    curves = read_domain_curves(transform_graph)
    averages = curves.averages[:, -1]
    spread = np.nanstd(averages, axis=0)
    profile = averages / np.where(spread > 0, spread, 1.0)
    others = [
        n for n, name in enumerate(curves.domains) if name not in late and not np.isnan(profile[n]).any()
    ]
    found = {}
    for n, name in enumerate(curves.domains):
        if name in late and not np.isnan(profile[n]).any() and others:
            distance = np.square(profile[others] - profile[n]).sum(axis=1)
            found[name] = curves.domains[others[int(distance.argmin())]]
    return found


def _asked(
    model: object, rows: RowStore, at: npt.NDArray[np.int64], domain: npt.NDArray[np.int32]
) -> npt.NDArray[np.float64]:
    answers = []
    for start in range(0, len(at), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        inputs = {name: tf.constant(value) for name, value in rows.gather(at[part]).items()}
        answers.append(model.predict_transformed(inputs, tf.constant(domain[part])).numpy())  # type: ignore[attr-defined]
    return np.concatenate([np.zeros(0), *answers])
