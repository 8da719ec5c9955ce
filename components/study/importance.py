"""Permutation importance: what is lost when an input's values are shuffled between rows.

L. Breiman, "Random Forests" (Machine Learning 45, 2001), section 10; measured here on rows that the model was not
trained on, as the loss of average AUC. An input that repeats what another one says can be shuffled at little loss:
the figures are of the model, not of the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from components.study.document import Importance
from components.study.sample import Sample, Score, auc_by, evenly
from models.arrays import Array
from models.features import FeatureLayout

ROWS = 4_000
# Parts of the rows, whose disagreement tells how sure a figure is.
FOLDS = 5
# With fewer clicks, or non-clicks, a domain's AUC says more of chance than of an input.
_OF_EACH_CLASS = 30
# More domains than this would leave too few rows to each.
DOMAINS = 20


@dataclass(frozen=True)
class Input:
    """Columns that belong together and are shuffled together.

    Attributes:
      name: for people.
      kind: see `document.Importance`.
      columns: (key of the row tensors, columns of its last axis).
      moves_domain: whether the domain that answers is shuffled along.
    """

    name: str
    kind: Literal["feature", "averages", "domain"]
    columns: tuple[tuple[str, tuple[int, ...]], ...]
    moves_domain: bool = False


def inputs(layout: FeatureLayout, domain: str) -> list[Input]:
    """Everything that a row tells a model: features, groups of averages, and the domain.

    Args:
      layout: what a row has.
      domain: the domain's column; its feature is shuffled together with the domain that answers.
    """
    found, at = [], 0
    own: tuple[tuple[str, tuple[int, ...]], ...] = ()
    for feature in layout.categorical:
        columns = (("categorical", tuple(range(at, at + feature.width))),)
        at += feature.width
        if feature.name == domain:
            own = columns
        else:
            found.append(Input(feature.name, "feature", columns))
    found += [Input(name, "feature", (("numeric", (i,)),)) for i, name in enumerate(layout.numeric)]
    for key, names, title in (
        ("averages", layout.averages, "averages by {}"),
        ("history", layout.history, "averages of the {} in every domain"),
    ):
        groups: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            groups.setdefault(name.rpartition(".")[0], []).append(i)
        found += [
            Input(title.format(group.replace("_x_", " and ")), "averages", ((key, tuple(columns)),))
            for group, columns in groups.items()
        ]
    return [*found, Input(domain, "domain", own, moves_domain=True)]


def importance(
    sample: Sample,
    score: Score,
    layout: FeatureLayout,
    domain: str,
    min_rows: int,
    seed: int = 0,
    rows: int = ROWS,
) -> tuple[list[Importance], int]:
    """The loss of average AUC by input, most important first, and the rows that it was measured on.

    The rows are taken alike from the largest domains with enough of them and at least 30 of both classes, at most
    20 domains; where there is no such domain, from all rows, and the measure is the overall AUC.

    Args:
      sample: evaluation rows.
      score: the model.
      layout: what a row has.
      domain: the domain's column.
      min_rows: rows that a domain needs to count.
      seed: of the shuffle.
      rows: most rows used.
    """
    chosen = _alike(sample, min_rows, rows)
    group = sample.domain[chosen]
    if not len(chosen):
        chosen = evenly(len(sample), rows)
        group = np.zeros(len(chosen), np.int64)
    label = sample.label[chosen]
    if not len(chosen) or label.min() == label.max():
        return [], 0
    data = sample.source.gather(sample.index[chosen])
    domains = sample.domain[chosen]
    rng = np.random.default_rng(seed)
    fold = rng.permutation(len(chosen)) % FOLDS
    shuffle = rng.permutation(len(chosen))

    def average(prediction: Array) -> Array:
        """Of all rows, then of each fold."""
        parts = [np.ones(len(label), bool), *(fold == number for number in range(FOLDS))]
        return np.array([_average_auc(group[part], prediction[part], label[part]) for part in parts])

    whole = average(score(data, domains))
    found = []
    for entry in inputs(layout, domain):
        mixed = dict(data)
        for key, columns in entry.columns:
            mixed[key] = mixed[key].copy()
            mixed[key][..., list(columns)] = data[key][shuffle][..., list(columns)]
        lost = whole - average(score(mixed, domains[shuffle] if entry.moves_domain else domains))
        found.append(
            Importance(
                name=entry.name,
                kind=entry.kind,
                drop=float(lost[0]),
                standard_error=_standard_error(lost[1:]),
            )
        )
    return sorted(found, key=lambda entry: -entry.drop), len(chosen)


def _average_auc(group: Array, prediction: Array, label: Array) -> float:
    aucs = auc_by(group, prediction, label).auc
    aucs = aucs[~np.isnan(aucs)]
    return float(aucs.mean()) if len(aucs) else np.nan


def _standard_error(folds: Array) -> float:
    folds = folds[~np.isnan(folds)]
    return float(folds.std(ddof=1) / np.sqrt(len(folds))) if len(folds) > 1 else 0.0


def _alike(sample: Sample, min_rows: int, rows: int) -> Array:
    """Rows of the domains that say something, equally many of each as far as they have them."""
    aucs = auc_by(sample.domain, sample.prediction, sample.label)
    rarer = np.minimum(aucs.positives, aucs.negatives)
    telling = np.flatnonzero((aucs.rows >= min_rows) & (rarer >= _OF_EACH_CLASS))
    largest = telling[np.argsort(-aucs.rows[telling], kind="stable")][:DOMAINS]
    parts: list[Array] = []
    left = rows
    for done, i in enumerate(largest[::-1]):
        here = np.flatnonzero(sample.domain == aucs.group[i])
        part = here[evenly(len(here), left // (len(largest) - done))]
        left -= len(part)
        parts.append(part)
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)
