"""By how much one model is ahead of another, and what that allows to say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

NARROW = 0.005
"""Average AUC within which two models are as good as each other: half of what a proposed gate lets a new model lose."""

ONE_TRAINING = "as far as one training of each tells"
"""What is said instead of "beyond chance" of two models that were trained once each: users drawn by chance say nothing
of what another seed makes."""

_Z95 = 1.96

Verdict = Literal["ahead", "behind", "tie", "unknown"]


class Lead(BaseModel):
    """How far one model is ahead of another in AUC, on the same rows.

    Attributes:
      difference: the first minus the other; below 0 where it is behind.
      low, high: the middle 95 % of the differences over resampled sets of users.
    """

    model_config = ConfigDict(extra="ignore")

    difference: float
    low: float
    high: float

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval leaves zero on one side."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> Verdict:
        """`ahead` or `behind` beyond chance; a `tie` where the interval is narrow around zero; else `unknown`.

        >>> [Lead(difference=0, low=low, high=high).verdict for low, high in ((-0.004, 0.003), (-0.02, 0.003))]
        ['tie', 'unknown']
        """
        if self.beyond_chance:
            return "ahead" if self.low > 0 else "behind"
        return "tie" if max(-self.low, self.high) <= NARROW else "unknown"


class LeadOver(Lead):
    """A lead in average AUC.

    Attributes:
      domains: the lead within each domain that the average is taken over.
    """

    domains: dict[str, Lead] = Field(default_factory=dict)

    @property
    def weighted(self) -> Lead | None:
        """The leads within the domains, each weighted by how exactly it is known (its inverse variance).

        The average AUC takes all domains alike, so the least exact of them decides what it says. None without domains,
        or where one shows no variation at all.
        """
        errors = [(lead.high - lead.low) / (2 * _Z95) for lead in self.domains.values()]
        if not errors or min(errors) <= 0:
            return None
        weights = [error**-2 for error in errors]
        total = sum(weights)
        middle = (
            sum(w * lead.difference for w, lead in zip(weights, self.domains.values(), strict=True)) / total
        )
        half = _Z95 * total**-0.5
        return Lead(difference=middle, low=middle - half, high=middle + half)

    @property
    def verdict(self) -> Verdict:
        """As `Lead.verdict`; `unknown` where the average is ahead or behind and the weighted mean does not agree."""
        plain, weighted = super().verdict, self.weighted
        if not self.beyond_chance or weighted is None or weighted.verdict == plain:
            return plain
        return "unknown"
