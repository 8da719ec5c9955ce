"""The best possible AUC: what the true click probabilities themselves reach on the drawn clicks.

The clicks are drawn from the true probabilities, so no model ranks the impressions better except by luck: a
score above is a leak. `truth.json` keeps the figures; `truth/part-*.parquet` the probabilities, row by row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from components.dataset.parquet import read_table
from components.errors import InputError
from models.arrays import Array
from models.metrics import auc_of_counts, decides

TRUTH_FILE = "truth.json"

# Width .006 of a bin of the logit: rows tied in a bin change an AUC by less than 1e-4.
_BINS = 4096
_LIMIT = 12.0


@dataclass(frozen=True)
class Score:
    """What the truth reaches on some rows.

    Attributes:
        rows, positives: number of impressions and of clicks.
        auc: None when one of the two classes is missing.
        log_loss: mean of -log p(drawn answer), None without rows.
        entropy: its expected value under the true probabilities, None without rows.
    """

    rows: int
    positives: int
    auc: float | None
    log_loss: float | None
    entropy: float | None


@dataclass(frozen=True)
class BestPossible:
    """The best possible scores on the rows of a period.

    Attributes:
        overall: over all rows together.
        domains: by the text of the domain id, as in `metrics.json`.
        average_auc: unweighted mean over the domains with both classes and at least `min_rows` rows; None
            when there is no such domain.
        min_rows: rows that a domain needs to count in the average.
    """

    overall: Score
    domains: dict[str, Score]
    average_auc: float | None
    min_rows: int

    @property
    def counted(self) -> list[str]:
        """The domains that count in the average."""
        return [name for name, score in self.domains.items() if _counts(score, self.min_rows)]

    def to_dict(self) -> dict[str, Any]:
        return {
            "average_auc": self.average_auc,
            "overall_auc": self.overall.auc,
            "log_loss": self.overall.log_loss,
            "entropy": self.overall.entropy,
            "rows": self.overall.rows,
            "positives": self.overall.positives,
            "min_rows": self.min_rows,
            "domains": {name: vars(score) for name, score in self.domains.items()},
        }


class TruthTally:
    """Collects true probabilities and drawn clicks of a stream of rows in constant memory.

    Args:
        domains: number of domains, with ids from 0.
    """

    def __init__(self, domains: int):
        self._counts = np.zeros((2, domains, _BINS), np.int32)
        self._loss = np.zeros(domains)
        self._entropy = np.zeros(domains)

    def add(self, domain: Array, probability: Array, click: Array) -> None:
        """Adds rows, all arrays (n,)."""
        yes, no = np.log(probability), np.log1p(-probability)
        place = ((yes - no) + _LIMIT) * (_BINS / (2 * _LIMIT))
        cell = domain * _BINS + np.clip(place, 0, _BINS - 1).astype(np.int64)
        size = self._counts[0].size
        for label in (0, 1):
            found = np.bincount(cell[click == label], minlength=size)
            self._counts[label] += found.reshape(self._counts[label].shape).astype(np.int32)
        domains = len(self._loss)
        self._loss -= np.bincount(domain, np.where(click, yes, no), domains)
        self._entropy -= np.bincount(domain, probability * yes + (1 - probability) * no, domains)

    def best_possible(self, min_rows: int) -> BestPossible:
        """The scores of all rows added so far."""
        totals = self._counts.sum(axis=2)
        scores = {
            str(d): _score(self._counts[:, d], totals[:, d], self._loss[d], self._entropy[d])
            for d in range(len(self._loss))
        }
        overall = _score(self._counts.sum(axis=1), totals.sum(axis=1), self._loss.sum(), self._entropy.sum())
        return BestPossible(overall, scores, _average(scores, min_rows), min_rows)


def best_possible_auc(
    directory: Path, *, eval_days: int | None = None, min_rows: int | None = None, days: int | None = None
) -> BestPossible:
    """The best possible scores of a simulated feed.

    Args:
        directory: where `simulate` wrote.
        eval_days: the last days to judge; those that the simulation was told when None. For other numbers than
            these and all days, the rows are read again.
        min_rows: rows that a domain needs to count in the average; that of the simulation when None.
        days: the feed is taken to end after so many days; with its last when None.

    Raises:
        InputError: there is no simulated feed, it is damaged, or it has fewer days.
    """
    document = read_truth(directory)
    try:
        settings = document["settings"]
        whole, told, domains = int(settings["days"]), int(settings["eval_days"]), int(settings["domains"])
        stored = {told: document["best_possible"]["eval"], whole: document["best_possible"]["all_days"]}
        wanted = told if eval_days is None else eval_days
        least = int(settings["min_rows"]) if min_rows is None else min_rows
        end = whole if days is None else min(days, whole)
        if wanted in stored and end == whole:
            return _from_dict(stored[wanted], least)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(directory, error) from error
    if not 1 <= wanted <= end:
        raise InputError(
            f"{directory}: the feed has {end} days, the best possible AUC of {wanted} was wanted"
        )
    tally = TruthTally(domains)
    for day in range(end - wanted, end):
        rows = read_day(directory, day)
        tally.add(*(rows[name].to_numpy() for name in ("domain_id", "probability", "click")))
    return tally.best_possible(least)


def read_day(directory: Path, day: int) -> pl.DataFrame:
    """The impressions of a day with their true click `probability` as a further column.

    Raises:
        InputError: a file is missing, unreadable, or the two differ in length.
    """
    impressions = directory / "impressions" / f"part-{day:03}.csv"
    truth = directory / "truth" / f"part-{day:03}.parquet"
    try:
        probabilities = pl.DataFrame(pl.from_arrow(read_table(truth)))
        return pl.concat([pl.read_csv(impressions), probabilities], how="horizontal", strict=True)
    except (InputError, OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"{impressions} and {truth}: cannot be read together: {error}. Delete {directory} and simulate again"
        ) from error


def read_truth(directory: Path) -> dict[str, Any]:
    """The document `truth.json` of a simulated feed.

    Raises:
        InputError: it is missing or not JSON.
    """
    path = directory / TRUTH_FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file: not the directory of a simulated feed") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path}: expected a JSON object, found {type(document).__name__}")
    return document


def damaged(directory: Path, error: Exception) -> InputError:
    """The error of a `truth.json` that lacks something."""
    return InputError(
        f"{directory / TRUTH_FILE}: not the truth of a simulated feed ({error!r}). Delete the directory and "
        "simulate again"
    )


def _from_dict(section: dict[str, Any], min_rows: int) -> BestPossible:
    overall = Score(
        rows=section["rows"],
        positives=section["positives"],
        auc=section["overall_auc"],
        log_loss=section["log_loss"],
        entropy=section["entropy"],
    )
    scores = {name: Score(**score) for name, score in section["domains"].items()}
    return BestPossible(overall, scores, _average(scores, min_rows), min_rows)


def _score(counts: Array, totals: Array, loss: float, entropy: float) -> Score:
    negatives, positives = (int(total) for total in totals)
    rows = negatives + positives
    return Score(
        rows=rows,
        positives=positives,
        auc=auc_of_counts(*counts),
        log_loss=float(loss) / rows if rows else None,
        entropy=float(entropy) / rows if rows else None,
    )


def _counts(score: Score, min_rows: int) -> bool:
    return decides(score.rows, score.positives, min_rows) is True


def _average(scores: dict[str, Score], min_rows: int) -> float | None:
    counted = [score.auc for score in scores.values() if _counts(score, min_rows) and score.auc is not None]
    return float(np.mean(counted)) if counted else None
