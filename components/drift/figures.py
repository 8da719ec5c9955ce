"""The figures of a day: what is measured of its examples, and held against other days."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from components.example_gen.scales import Scale

MEASURED = "measured.json"
STATISTICS = "statistics.pb"


class Counts(BaseModel):
    """Impressions and clicks."""

    rows: int = 0
    clicks: int = 0

    @property
    def click_rate(self) -> float:
        """Clicks per impression; 0 without any."""
        return self.clicks / self.rows if self.rows else 0.0


class FeatureFigures(BaseModel):
    """What is measured of a column.

    Attributes:
      missing: rows without a value.
      values: all values of all rows.
      unseen: those of them that no earlier day had; None where that is not known.
      low, high: the smallest and the largest number; None for text and without a value.
    """

    missing: int = 0
    values: int = 0
    unseen: int | None = None
    low: float | None = None
    high: float | None = None


class Measured(BaseModel):
    """A day's figures.

    Attributes:
      day: ISO.
      overall: all rows.
      domains: by the domain's value.
      hours: rows by hour of the day, on the clock of the declared zone. clicks: of them; a day that was measured before
        these were counted has none.
      features: by column of the examples.
      scales: how large numbers are as they are written, by column, those of events behind their files.
    """

    day: str
    overall: Counts = Field(default_factory=Counts)
    domains: dict[str, Counts] = Field(default_factory=dict)
    hours: list[int] = Field(default_factory=lambda: [0] * 24)
    clicks: list[int] = Field(default_factory=lambda: [0] * 24)
    features: dict[str, FeatureFigures] = Field(default_factory=dict)
    scales: dict[str, Scale] = Field(default_factory=dict)

    def around(self, hour: int) -> dict[str, Counts]:
        """The impressions before an hour of the day and from it on, where there are some."""
        parts = {"before": slice(0, hour), "after": slice(hour, 24)}
        counts = {
            name: Counts(rows=sum(self.hours[part]), clicks=sum(self.clicks[part]))
            for name, part in parts.items()
        }
        return {name: count for name, count in counts.items() if count.rows}


def read_measured(uri: str) -> Measured:
    """The figures in a `DataGates` artifact."""
    return Measured.model_validate_json((Path(uri) / MEASURED).read_text())
