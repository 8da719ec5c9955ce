"""What a study found: `study.json`, from which the table and the page are made."""

from __future__ import annotations

from pydantic import BaseModel, Field

from pipeline.compare.result import Response, Spread

SIGNIFICANT = 0.05


class GroupFacts(BaseModel):
    """The evaluation rows of a group.

    Attributes:
      rows, positives, domains: how many.
      best: the AUC that the true click probabilities reach.
      expected: whether all figures are what is to be expected of these, and not of the clicks that happened.
    """

    rows: int
    positives: int
    domains: int
    best: float | None = None
    expected: bool = False


class Cost(BaseModel):
    """What one model costs at one point: medians over seeds.

    Attributes:
      rows_per_second, training_seconds, cpu_seconds: of one training.
      peak_memory_mb: of the process that trains.
      parameters: trained numbers.
      latency: by the rows of a request, of all domains mixed.
    """

    rows_per_second: float
    training_seconds: float
    cpu_seconds: float | None
    peak_memory_mb: float | None
    parameters: int
    latency: dict[str, Response] = Field(default_factory=dict)


class StudiedPoint(BaseModel):
    """One point of the axis.

    Attributes:
      rows: `train`, `validation` and `eval` rows.
      domains: that the models know.
      comparison: the folder of its own comparison, below the study's root.
    """

    name: str
    label: str
    rows: dict[str, int]
    domains: int
    groups: dict[str, GroupFacts]
    costs: dict[str, Cost]
    comparison: str


class Measured(BaseModel):
    """One model on one group of one point, over seeds.

    Attributes:
      auc: of the pairs within domains, pooled (`models.metrics.within_auc`).
      log_loss: mean over the rows.
      calibration: predicted clicks per click.
    """

    point: str
    group: str
    model: str
    auc: Spread
    log_loss: Spread
    calibration: Spread


class Tested(BaseModel):
    """The reference minus another on a group; more is better: of the log loss it is the other's minus the reference's.

    Attributes:
      point, group, metric: where, and in what.
      reference, other: what is compared: titles of models, or labels of points.
      difference, low, high: with 95 % over seeds and users together (`combined_test`).
      p_value: None where nothing varies.
      adjusted: the same for the whole family of the study's tests (`holm`).
    """

    point: str
    group: str
    metric: str = "AUC"
    reference: str
    other: str
    difference: float
    low: float
    high: float
    p_value: float | None
    adjusted: float | None = None

    @property
    def verdict(self) -> str:
        """`ahead` or `behind` beyond chance, in the whole family; else `tie`."""
        if self.adjusted is None or self.adjusted >= SIGNIFICANT:
            return "tie"
        return "ahead" if self.difference > 0 else "behind"


class StudyResult(BaseModel):
    """The whole study.

    Attributes:
      models: titles, in the order they were named.
      samples: resampled sets of users.
      directory: where the command was given: its paths may be relative.
    """

    name: str
    question: str
    axis: str
    command: str
    directory: str = ""
    created: str
    versions: dict[str, str]
    seeds: list[int]
    samples: int
    reference: str
    models: list[str]
    points: list[StudiedPoint]
    measured: list[Measured]
    tests: list[Tested]
    wall_seconds: float = 0.0

    @property
    def groups(self) -> list[str]:
        """Of all points, in their order."""
        return list(dict.fromkeys(name for point in self.points for name in point.groups))

    def of(self, point: str, group: str, model: str) -> Measured | None:
        """What one model reached."""
        for found in self.measured:
            if (found.point, found.group, found.model) == (point, group, model):
                return found
        return None
