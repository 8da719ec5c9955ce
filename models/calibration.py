"""Calibration by domain: a scale and an offset of the logit, fitted on rows that the model has not learned.

    p = sigmoid(scale_d z + offset_d)

The common pair maximises the likelihood of all rows, held to (1, 0) by a Gaussian prior; each domain's pair that of its
own rows, held to the common one. So a domain of few rows is corrected as all are, and one without rows exactly so. A
scale is above 0: the order of scores within a domain, and so its AUC, never changes (Platt, 1999, with shrinkage).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

CALIBRATION = "calibration.json"
PRIOR_DEVIATION = (0.2, 0.5)
"""How far a domain's scale and offset may be expected to lie from the common ones."""
SCALES = (0.25, 4.0)
_STEPS = 50


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What logits are scaled by and moved by.

    Attributes:
        domains: their names.
        scale, offset: by domain, float64 (D,).
        common: scale and offset of a domain that is not among them.
    """

    domains: tuple[str, ...]
    scale: np.ndarray
    offset: np.ndarray
    common: tuple[float, float] = (1.0, 0.0)

    @classmethod
    def none(cls, domains: Sequence[str]) -> Calibration:
        """Leaves every logit as it is."""
        return cls(tuple(domains), np.ones(len(domains)), np.zeros(len(domains)))

    def of(self, domains: Sequence[str]) -> Calibration:
        """The same for other domains, in their order; the common pair for those that are new."""
        at = {name: n for n, name in enumerate(self.domains)}
        pairs = [(self.scale[at[d]], self.offset[at[d]]) if d in at else self.common for d in domains]
        values = np.array(pairs, np.float64).reshape(-1, 2)
        return Calibration(tuple(domains), values[:, 0], values[:, 1], self.common)

    def apply(self, logits: np.ndarray, domain: np.ndarray) -> np.ndarray:
        """Calibrated logits (n,) of rows of `domain` (n,), indices."""
        return np.asarray(self.scale[domain] * logits + self.offset[domain])

    def write(self, directory: Path) -> None:
        """Writes `calibration.json`."""
        document = {
            "domains": list(self.domains),
            "scale": self.scale.tolist(),
            "offset": self.offset.tolist(),
            "common": list(self.common),
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
        return cls(tuple(document["domains"]), scale, offset, (first, second))


def fit_calibration(
    logits: np.ndarray, label: np.ndarray, domain: np.ndarray, domains: Sequence[str]
) -> Calibration:
    """The calibration that these rows ask for.

    Args:
        logits: uncalibrated, (n,), of rows that the model has not learned.
        label: 0 or 1, (n,).
        domain: index among `domains`, (n,).
        domains: names, in the order of their index.

    Example:
        >>> logits, label = np.zeros(4000), np.arange(4000) % 4 == 0  # says one half, and a quarter was clicked
        >>> found = fit_calibration(logits, label, np.zeros(4000, int), ["home", "new"])
        >>> found.offset.round(2).tolist()  # log(1/3) = -1.10
        [-1.1, -1.1]
    """
    logits, label = np.asarray(logits, np.float64), np.asarray(label, np.float64)
    common = _most_likely(logits, label, np.array([1.0, 0.0]), np.array([1.0, 10.0]))
    pairs = np.tile(common, (len(domains), 1))
    order = np.argsort(domain, kind="stable")
    edges = np.searchsorted(domain[order], np.arange(len(domains) + 1))
    for d in range(len(domains)):
        rows = order[edges[d] : edges[d + 1]]
        if len(rows):
            pairs[d] = _most_likely(logits[rows], label[rows], common, np.array(PRIOR_DEVIATION))
    return Calibration(tuple(domains), pairs[:, 0], pairs[:, 1], (float(common[0]), float(common[1])))


def _most_likely(z: np.ndarray, y: np.ndarray, prior: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Scale and offset of the highest posterior, by Newton's method with halved steps; the scale within `SCALES`."""
    precision = 1.0 / np.square(deviation)

    def loss(pair: np.ndarray) -> float:
        moved = pair[0] * z + pair[1]
        return float(
            (np.logaddexp(0, moved) - y * moved).sum() + 0.5 * (precision * (pair - prior) ** 2).sum()
        )

    pair = prior.copy()
    now = loss(pair)
    for _ in range(_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(pair[0] * z + pair[1], -60, 60)))
        error, weight = p - y, p * (1 - p)
        gradient = np.array([(error * z).sum(), error.sum()]) + precision * (pair - prior)
        hessian = np.array(
            [
                [(weight * z * z).sum() + precision[0], (weight * z).sum()],
                [(weight * z).sum(), weight.sum() + precision[1]],
            ]
        )
        step = np.linalg.solve(hessian, gradient)
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
    return pair
