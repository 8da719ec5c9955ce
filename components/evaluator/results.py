"""What an evaluation found: numbers by domain, and whether the model is blessed or why not, in words."""

from __future__ import annotations

import math

from pydantic import BaseModel, Field

from components.comparison.lead import Lead


class Scores(BaseModel):
    """How well a model does on some rows; None where a figure is undefined.

    Attributes:
      auc: the Mann-Whitney statistic; None with one class.
      auc_standard_error: DeLong's, rows taken as independent.
      log_loss: mean of -log p(observed).
      calibration: mean prediction / mean label; None without a click.
    """

    auc: float | None = None
    auc_standard_error: float | None = None
    log_loss: float | None = None
    calibration: float | None = None
    mean_prediction: float | None = None


class DomainResult(Scores):
    """A domain's rows and scores.

    Attributes:
      rows, positives: impressions and clicks in the evaluation split.
      decides: whether it counts in the average AUC and its own gate: both classes and enough rows.
      baseline_auc: of the last blessed model on the same rows; None without one.
    """

    rows: int
    positives: int
    decides: bool = False
    baseline_auc: float | None = None

    @property
    def one_class(self) -> bool:
        """Whether the rows are all clicks or all non-clicks: there is no AUC then."""
        return self.positives in (0, self.rows)


class Overall(Scores):
    """All rows together.

    Attributes:
      average_auc: unweighted mean over the domains that decide.
      gauc: AUC per user weighted by the user's impressions, users with one class left out.
      invalid_predictions: NaN or outside 0 to 1.
    """

    average_auc: float | None = None
    gauc: float | None = None
    invalid_predictions: int = 0


class Gate(BaseModel):
    """One condition of the blessing.

    Attributes:
      condition: in words, such as "average AUC at least 0.65".
      value: what was measured, as text.
      passed: whether it held.
    """

    condition: str
    value: str
    passed: bool


class EvaluationResult(BaseModel):
    """The outcome of an evaluation.

    Attributes:
      rows, positives: impressions and clicks evaluated.
      overall: of the model, over all rows.
      domains: by the domain's value as text, most rows first.
      min_rows: rows that a domain needs to decide.
      blessed: whether every gate was passed.
      failures: why not, one sentence each.
      gates: every condition with its outcome.
      notes: what a reader should know besides, such as a gated domain that may not decide.
      baseline: the last blessed model on the same rows; None on the first run.
      lead: how far this model is ahead of it in average AUC, users drawn by chance; None where not known.
    """

    rows: int
    positives: int
    overall: Overall
    domains: dict[str, DomainResult] = Field(default_factory=dict)
    min_rows: int = 1
    blessed: bool
    failures: list[str] = Field(default_factory=list)
    gates: list[Gate] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    baseline: Overall | None = None
    lead: Lead | None = None

    @property
    def average_auc(self) -> float | None:
        """Unweighted mean of the AUC over the domains that decide."""
        return self.overall.average_auc

    @property
    def average_auc_standard_error(self) -> float | None:
        """Of the average AUC, the domains taken as independent; None where one has none."""
        errors = [self.domains[name].auc_standard_error for name in self.deciding]
        known = [error for error in errors if error is not None]
        if not errors or len(known) < len(errors):
            return None
        return math.sqrt(sum(error**2 for error in known)) / len(known)

    @property
    def overall_auc(self) -> float | None:
        """AUC over all rows together."""
        return self.overall.auc

    @property
    def gauc(self) -> float | None:
        """AUC per user, weighted by the user's impressions."""
        return self.overall.gauc

    @property
    def log_loss(self) -> float | None:
        """Mean of -log p(observed) over all rows."""
        return self.overall.log_loss

    @property
    def deciding(self) -> list[str]:
        """The domains that the average AUC is taken over."""
        return [name for name, domain in self.domains.items() if domain.decides]
