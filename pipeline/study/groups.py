"""The groups of evaluation rows that studies look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from components.trainer.row_store import RowStore
from components.transform.row_layout import read_summary
from models.features import FeatureLayout
from models.metrics import SIZE_CLASSES, size_classes
from pipeline.compare.collect import Evidence, Material
from pipeline.study import feeds
from pipeline.study.expected import ExpectedPairs
from pipeline.study.plan import Group

ROWS_SEEN = ((0, 0), (1, 2), (3, 9), (10, None))
"""Rows of a user or an item among the training rows: from, to."""

Truth = Callable[[], feeds.Truth]
"""Domain, true click probability and click of the evaluation rows of a simulated feed."""

ALL = "all domains"


def by_size(evidence: Evidence, truth: Truth | None = None) -> dict[str, Group]:
    """All rows, and those of the head, the middle and the tail of the domains (`models.metrics.size_classes`)."""
    trained = known_rows(material(evidence).layout)
    names = evidence.rows.domains
    of_domain = size_classes(np.array([trained.get(name, 0) for name in names]))
    chosen = {ALL: np.ones(len(names), bool)}
    chosen |= {name: of_domain == place for place, name in enumerate(SIZE_CLASSES)}
    return of_domains(evidence, chosen, truth)


def of_domains(
    evidence: Evidence, chosen: Mapping[str, npt.NDArray[np.bool_]], truth: Truth | None = None
) -> dict[str, Group]:
    """Groups of whole domains, with what the truth reaches on them.

    Args:
      evidence: of the rows.
      chosen: by name of the group, which of `evidence.rows.domains` it has (domains,). One without rows is left out.
      truth: of a simulated feed.
    """
    probability = _probability(evidence, truth)
    return _groups(
        evidence, {name: domains[evidence.rows.domain] for name, domains in chosen.items()}, probability
    )


def _groups(
    evidence: Evidence,
    chosen: Mapping[str, npt.NDArray[np.bool_]],
    probability: npt.NDArray[np.float64] | None,
) -> dict[str, Group]:
    """Groups of rows (rows,); one without rows is left out."""
    groups = {}
    for name, rows in chosen.items():
        if not rows.any():
            continue
        if probability is None:
            groups[name] = Group(rows)
            continue
        mine = probability[rows]
        groups[name] = Group(rows, mine, ExpectedPairs(mine, mine, evidence.rows.domain[rows]).auc())
    return groups


def _probability(evidence: Evidence, truth: Truth | None) -> npt.NDArray[np.float64] | None:
    """The true click probability of each evaluation row; None where the feed's rows are not these, one by one."""
    if truth is None:
        return None
    domain, probability, click = truth()
    names = np.array(evidence.rows.domains)[evidence.rows.domain]
    same = len(click) == len(names) and (domain == names).all() and (click == evidence.rows.label).all()
    return probability if same else None


def by_kind(evidence: Evidence, truth: Truth | None = None) -> dict[str, Group]:
    """By size, and halves of the domains: by click rate, and by how far it moves from day to day beyond chance."""
    layout = material(evidence).layout
    place = {name: n for n, name in enumerate(layout.domains)}
    names = evidence.rows.domains
    known = np.array([name in place for name in names])
    at = np.array([place.get(name, 0) for name in names])
    rate, drift = _rates(material(evidence), layout)
    groups = by_size(evidence, truth)
    for kind, values in (("click rate", rate[at]), ("drift", drift[at])):
        middle = np.median(values[known]) if known.any() else 0.0
        groups |= of_domains(
            evidence,
            {f"low {kind}": known & (values <= middle), f"high {kind}": known & (values > middle)},
            truth,
        )
    return groups


def by_rows_seen(
    evidence: Evidence, role: str, column: str | None, truth: Truth | None = None
) -> dict[str, Group]:
    """Rows by how many training rows their user or item has; nothing where it is no feature.

    A value that is too rare for the vocabulary counts as never seen.

    Args:
      evidence: of the rows.
      role: what the groups are called.
      column: the categorical feature.
      truth: of a simulated feed.
    """
    read = material(evidence)
    feature = next((one for one in read.layout.categorical if one.name == column), None)
    if feature is None:
        return {}
    trained, asked = (_ids(rows, read.layout, feature.name) for rows in (read.trained, read.evaluated))
    seen = np.bincount(trained, minlength=feature.size)
    seen[0] = 0
    known = read_summary(read.transform_graph)["vocabularies"].get(feature.name, feature.size)
    seen[known + 1 :] = 0
    count = seen[asked]
    chosen = {}
    for least, most in ROWS_SEEN:
        words = "none" if most == 0 else f"{least} or more" if most is None else f"{least} to {most}"
        chosen[f"{role}: {words}"] = (count >= least) & (count <= (np.inf if most is None else most))
    return _groups(evidence, chosen, _probability(evidence, truth))


def material(evidence: Evidence) -> Material:
    """What the models of a comparison read."""
    assert evidence.material is not None
    return evidence.material


def known_rows(layout: FeatureLayout) -> dict[str, int]:
    """Training rows of each domain that the models know."""
    return dict(zip(layout.domains, layout.domain_rows, strict=True))


def _ids(rows: RowStore, layout: FeatureLayout, name: str) -> npt.NDArray[np.int64]:
    column = 0
    for feature in layout.categorical:
        if feature.name == name:
            break
        column += feature.width
    return rows.gather(np.arange(len(rows)))["categorical"][:, column]


def _rates(read: Material, layout: FeatureLayout) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Click rate of each domain, and the standard deviation of its daily click rates beyond that of chance."""
    domain, day = np.asarray(read.trained.domain), np.asarray(read.trained.day)
    label = np.asarray(read.trained.label, np.float64)
    count = layout.domain_count
    rows, clicks = np.bincount(domain, minlength=count), np.bincount(domain, label, count)
    rate = clicks / np.maximum(rows, 1)
    days = np.unique(day)
    excess = np.zeros(count)
    for one in days:
        here = day == one
        n, c = np.bincount(domain[here], minlength=count), np.bincount(domain[here], label[here], count)
        daily = c / np.maximum(n, 1)
        excess += np.where(n > 0, n * ((daily - rate) ** 2) - rate * (1 - rate), 0.0)
    return rate, np.sqrt(np.maximum(excess, 0.0) / np.maximum(rows, 1))
