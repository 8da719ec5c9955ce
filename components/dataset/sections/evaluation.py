"""The blocks of what judges a model, and of what the report looks into."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.dataset.sections.section import BY_DOMAIN, Section

MetricName = Literal["average_auc", "overall_auc", "gauc", "log_loss", "normalized_entropy", "calibration"]


class Report(Section):
    """What the run's report looks into, beyond the Evaluator's numbers."""

    study: bool = Field(
        default=True,
        description="Whether the model is studied once it is trained: simple systems on the same rows, calibration, "
        "cold and warm users and items, importance of the inputs.",
    )
    rows: int = Field(
        default=100_000, ge=1, lt=2**31, description="Most evaluation rows studied, evenly spread."
    )
    trees_rows: int = Field(
        default=50_000,
        ge=0,
        lt=2**31,
        description="Most training rows of a log whose model is also held against LightGBM on the same inputs, trained "
        "for the report alone; 0 for none. Of any log does `dfei compare --models dfei,lightgbm`.",
    )


class Threshold(Section):
    """What blesses a model: bounds of a metric, and how much worse than the last blessed model it may be."""

    min: float | None = Field(default=None, description="The lowest value that passes.")
    max: float | None = Field(default=None, description="The highest value that passes.")
    max_drop: float | None = Field(
        default=None, ge=0, description="How much worse than the last blessed model it may be."
    )

    @model_validator(mode="after")
    def _says_something(self) -> Threshold:
        if self.min is None and self.max is None and self.max_drop is None:
            raise ValueError("give at least one of min, max, max_drop")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


def _better_than_chance() -> dict[MetricName, Threshold]:
    return {
        "average_auc": Threshold(min=0.5, max_drop=0.01),
        "normalized_entropy": Threshold(max=1.0),
        "calibration": Threshold(min=0.5, max=2.0),
    }


class Evaluation(Section):
    """The gates. Domains with fewer than `min_rows` evaluation rows, or fewer than a tenth of that number of clicks or
    of rows without one, never decide: the rarer class says how exact an AUC is. normalized_entropy is the log loss as a
    multiple of that of the evaluation's own click rate, predicted for every row: above 1 a constant does better.
    """

    min_rows: int = Field(
        default=500,
        ge=1,
        lt=2**31,
        description="Evaluation rows that a domain needs to decide, and ten times those of its rarer class.",
    )
    thresholds: dict[MetricName, Threshold] = Field(
        default_factory=_better_than_chance,
        description="Bounds of metrics over all rows, or over the domains that decide; {} for no gate at all. Those in "
        "a file replace the default; `--set evaluation.thresholds.gauc.min=0.6` adds to those that hold without it, "
        "and `--set evaluation.thresholds.gauc=null` takes one away.",
    )
    min_rarer: int = Field(
        default=10,
        ge=0,
        lt=2**31,
        description="Clicks, or rows without one where these are fewer, that the evaluation needs in all: of fewer no "
        "gate can tell a good model from a bad one, and none is pushed; 0 pushes one all the same. Without effect "
        "where no bound is declared, and on the days of `dfei daily`, which allow for chance.",
    )
    domains: Annotated[dict[str, Threshold], BY_DOMAIN] = Field(
        default_factory=dict, description="Bounds of the AUC of single domains, by the domain's value."
    )
