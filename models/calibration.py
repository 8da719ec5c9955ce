"""Calibration by domain: a scale and an offset of the logit, learned from days before the model learned them.

    p = sigmoid(scale_d z + offset_d)

What is corrected is what stays wrong: a model that learns every day is itself right about yesterday, and to correct
that once more overshoots. So the pairs are a filter's. Before a day its beliefs are Gaussian, about the common pair and
about how far each domain's is from it. A day has a pair of its own, `DAY` away from the one that stays; its rows,
scored by a model that has not learned them, say what it is (the highest posterior, with the curvature there as its
certainty), and the belief moves by the share of that which its variance has of both (Kalman, 1960). So one day moves
little however many rows it has, and what many days say in the same way is believed. A domain of few rows stays near the
common pair, and a new one has it. A scale is above 0: the order of scores within a domain, and so its AUC, never
changes (Platt, 1999).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.arrays import Array

CALIBRATION = "calibration.json"
COMMON = (0.05, 0.1)
"""How far the common scale and offset may be expected to lie from 1 and 0."""
OWN = (0.04, 0.1)
"""How far a domain's may be expected to lie from the common ones."""
DAILY = (0.002, 0.01)
"""How far any of them may be expected to move in a day."""
DAY = (0.06, 0.2)
"""How far those of a single day may be expected to lie from what stays."""
SCALES = (0.25, 4.0)
_STEPS = 50


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What logits are scaled by and moved by.

    Attributes:
        domains: their names.
        scale, offset: by domain, float64 (D,).
    """

    domains: tuple[str, ...]
    scale: Array
    offset: Array
    common: tuple[float, float] = (1.0, 0.0)
    common_covariance: Array | None = None
    covariance: Array | None = None

    @classmethod
    def none(cls, domains: Sequence[str]) -> Calibration:
        """Leaves every logit as it is."""
        return cls(tuple(domains), np.ones(len(domains)), np.zeros(len(domains)))

    def of(self, domains: Sequence[str]) -> Calibration:
        """The same for other domains, in their order; the common pair for those that are new."""
        at = {name: n for n, name in enumerate(self.domains)}
        pairs = [(self.scale[at[d]], self.offset[at[d]]) if d in at else self.common for d in domains]
        values = np.array(pairs, np.float64).reshape(-1, 2)
        own = None
        if self.covariance is not None:
            own = np.array([self.covariance[at[d]] if d in at else _diagonal(OWN) for d in domains])
        return Calibration(
            tuple(domains),
            values[:, 0],
            values[:, 1],
            self.common,
            self.common_covariance,
            None if own is None else own.reshape(-1, 2, 2),
        )

    def apply(self, logits: Array, domain: Array) -> Array:
        """Calibrated logits (n,) of rows of `domain` (n,), indices."""
        return np.asarray(self.scale[domain] * logits + self.offset[domain])

    def write(self, directory: Path) -> None:
        """Writes `calibration.json`."""
        document = {
            "domains": list(self.domains),
            "scale": self.scale.tolist(),
            "offset": self.offset.tolist(),
            "common": list(self.common),
            "common_covariance": _listed(self.common_covariance),
            "covariance": _listed(self.covariance),
        }
        (directory / CALIBRATION).write_text(
            json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8"
        )

    @classmethod
    def read(cls, directory: Path) -> Calibration | None:
        """What `write` wrote; None where there is none."""
        if not (directory / CALIBRATION).is_file():
            return None
        document = json.loads((directory / CALIBRATION).read_text(encoding="utf-8"))
        scale, offset = np.array(document["scale"]), np.array(document["offset"])
        first, second = document["common"]
        # Calibrations of before held no certainty.
        certainty = [document.get(name) for name in ("common_covariance", "covariance")]
        arrays = [None if value is None else np.array(value, np.float64) for value in certainty]
        return cls(tuple(document["domains"]), scale, offset, (first, second), *arrays)


def fit_calibration(
    logits: Array,
    label: Array,
    domain: Array,
    domains: Sequence[str],
    earlier: Calibration | None = None,
) -> Calibration:
    """What is believed after a day.

    Args:
        logits: uncalibrated, (n,), of rows that the model has not learned.
        label: 0 or 1, (n,).
        domain: index among `domains`, (n,).
        domains: names, in the order of their index.
        earlier: what was believed before it; None: nothing.

    Example:
        >>> logits, label = np.zeros(4000), np.arange(4000) % 4 == 0  # says one half, and a quarter was clicked
        >>> found = None
        >>> for day in range(3):
        ...     found = fit_calibration(logits, label, np.zeros(4000, int), ["home", "new"], found)
        ...     print(found.offset.round(2).tolist())  # towards log(1/3) = -1.10
        [-0.39, -0.21]
        [-0.63, -0.36]
        [-0.78, -0.47]
    """
    logits, label = np.asarray(logits, np.float64), np.asarray(label, np.float64)
    before = (earlier or Calibration.none(domains)).of(domains)
    certainty = _diagonal(COMMON) if before.common_covariance is None else before.common_covariance
    distance = np.stack([before.scale, before.offset], axis=1) - np.array(before.common)
    own = np.tile(_diagonal(OWN), (len(domains), 1, 1)) if before.covariance is None else before.covariance
    # The first day's beliefs have not moved yet.
    moved = _diagonal(DAILY) if earlier is not None else np.zeros((2, 2))
    common, certainty = _after_a_day(logits, label, np.array(before.common), certainty + moved)
    pairs, own = common + distance, own + moved
    order = np.argsort(domain, kind="stable")
    edges = np.searchsorted(domain[order], np.arange(len(domains) + 1))
    for d in range(len(domains)):
        rows = order[edges[d] : edges[d + 1]]
        if len(rows):
            pairs[d], own[d] = _after_a_day(logits[rows], label[rows], pairs[d], own[d])
    scale = np.clip(pairs[:, 0], *SCALES)
    return Calibration(
        tuple(domains), scale, pairs[:, 1], (float(common[0]), float(common[1])), certainty, own
    )


def _diagonal(deviations: tuple[float, float]) -> Array:
    return np.diag(np.square(deviations))


def _listed(values: Array | None) -> list[object] | None:
    return None if values is None else values.tolist()


def _after_a_day(z: Array, y: Array, prior: Array, covariance: Array) -> tuple[Array, Array]:
    """What is believed to stay after rows of a day, whose own pair differs from it, and the covariance of that."""
    of_day = covariance + _diagonal(DAY)
    pair, left = _most_likely(z, y, prior, of_day)
    gain = covariance @ np.linalg.inv(of_day)
    return prior + gain @ (pair - prior), covariance - gain @ (of_day - left) @ gain.T


def _most_likely(z: Array, y: Array, prior: Array, covariance: Array) -> tuple[Array, Array]:
    """Scale and offset of the highest posterior, and its covariance: Newton's method with halved steps.

    The scale stays within `SCALES`.
    """
    precision = np.linalg.inv(covariance)

    def loss(pair: Array) -> float:
        moved = pair[0] * z + pair[1]
        away = pair - prior
        return float((np.logaddexp(0, moved) - y * moved).sum() + 0.5 * away @ precision @ away)

    def hessian(pair: Array) -> tuple[Array, Array]:
        p = 1.0 / (1.0 + np.exp(-np.clip(pair[0] * z + pair[1], -60, 60)))
        error, weight = p - y, p * (1 - p)
        gradient = np.array([(error * z).sum(), error.sum()]) + precision @ (pair - prior)
        slope = (weight * z).sum()
        return gradient, np.array([[(weight * z * z).sum(), slope], [slope, weight.sum()]]) + precision

    pair = prior.copy()
    now = loss(pair)
    for _ in range(_STEPS):
        step = np.linalg.solve(*hessian(pair)[::-1])
        while True:
            tried = pair - step
            tried[0] = np.clip(tried[0], *SCALES)
            after = loss(tried)
            if after <= now or np.abs(step).max() < 1e-10:
                break
            step = step / 2
        done = now - after < 1e-10
        if after <= now:
            pair, now = tried, after
        if done:
            break
    return pair, np.linalg.inv(hessian(pair)[1])
