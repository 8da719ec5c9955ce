"""By how much one model is ahead of another, and what that allows to say."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

NARROW = 0.005
"""Average AUC within which two models are as good as each other: half of what a proposed gate lets a new model lose."""

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
      domains: that the average is taken over.
    """

    domains: tuple[str, ...]
