"""What a backtest found: `backtest.json`, from which the table and the page are made."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, Field

from pipeline.compare.result import Spread, Versus


class EvaluatedPeriod(BaseModel):
    """One period.

    Attributes:
      first, last: its first and last day, ISO.
      before: where the log ended for it (`split.before`).
      comparison: the folder of its own comparison, below the backtest's root.
      rows: `train`, `validation` and `eval` rows.
      users: of the evaluation rows.
      domains: how many count in the average.
      best_possible_average_auc: of a simulated feed.
    """

    first: str
    last: str
    before: str
    comparison: str
    rows: dict[str, int]
    users: int
    domains: int
    best_possible_average_auc: float | None = None


class Backtested(BaseModel):
    """One model over all periods.

    Attributes:
      name, title: of the model or variant.
      average_auc, overall_auc, gauc, log_loss: over seeds, of the mean over the periods.
      periods: average AUC over seeds, by period, in the order of `Backtest.periods`.
      chosen: the settings that each period's search chose, beside the declaration's.
      versus: the reference against this model, over all periods; None for the reference itself.
      ahead: periods in which the reference has the higher average AUC; None for the reference itself.
      rank: by average AUC, from 1.
    """

    name: str
    title: str
    average_auc: Spread
    overall_auc: Spread
    gauc: Spread
    log_loss: Spread
    periods: list[Spread]
    chosen: list[list[str]] = Field(default_factory=list)
    versus: Versus | None = None
    ahead: int | None = None
    rank: int = 0


class Backtest(BaseModel):
    """The whole backtest.

    Attributes:
      periods: the latest first.
      models: best average AUC, as the mean over the periods, first.
      directory: where the command was given: its paths may be relative.
      reference: the model that the others are tested against.
      users: different ones, of all periods.
      bootstrap_samples: resampled sets of users.
    """

    dataset: str
    description: str = ""
    licence: str = ""
    label: str
    domain: str
    created: str
    command: str
    directory: str = ""
    versions: dict[str, str]
    seeds: list[int]
    trials: int
    bootstrap_samples: int
    min_rows: int
    users: int
    periods: list[EvaluatedPeriod]
    reference: str
    models: list[Backtested]
    wall_seconds: float = 0.0

    @property
    def best_possible(self) -> float | None:
        """What the true probabilities of a simulated feed reach, as the mean over the periods."""
        known = [period.best_possible_average_auc for period in self.periods]
        return None if None in known else float(np.mean([value for value in known if value is not None]))

    def model(self, name: str) -> Backtested:
        """The model of this name."""
        return next(model for model in self.models if model.name == name)
