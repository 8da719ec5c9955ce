"""The block of a feed that is trained day by day (`dfei daily`)."""

from __future__ import annotations

from pydantic import Field, field_validator

from components.dataset.sections.section import Section


class DriftGates(Section):
    """What of a day's data is refused.

    A change is judged against the last good days, which also tell how much such a figure moves from day to day. A day
    that is refused though its data are true is taken with `dfei daily --accept DAY`.
    """

    baseline_days: int = Field(
        default=7, ge=1, le=3_660, description="Last good days that a day is compared with."
    )
    deviations: float = Field(
        default=4.0,
        gt=0,
        description="Rows and click rates, over all and by domain, may move so many standard deviations, chance and "
        "the usual change from day to day together, before a day is refused; shares of missing and of unseen values so "
        "many of chance.",
    )
    factor: float = Field(
        default=1.75,
        gt=1,
        description="And rows or the odds of a click change at least by this factor, before a day is refused; two "
        "thirds of such a change, in logarithms and deviations, are said.",
    )
    missing_share: float = Field(
        default=0.1, gt=0, le=1, description="Rise of the share of rows in which a feature is missing."
    )
    unseen_share: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Share of those of a feature's values that would usually be known which no earlier day had.",
    )
    distance: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="TFDV's distance of a feature's distribution: Jensen-Shannon of numbers, L-infinity of categories "
        "(the largest change of a value's share).",
    )
    range_factor: float = Field(
        default=10.0,
        gt=1,
        description="A number may lie outside what the last good days had by so many times the width of their range.",
    )
    scale_factor: float = Field(
        default=5.0,
        gt=1,
        description="Numbers that are not 0, as they are delivered, may be so many times larger or smaller than usual "
        "(their geometric mean), or more where deviations explain it.",
    )
    skew: float | None = Field(
        default=0.5,
        gt=0,
        le=1,
        description="TFDV's distance of a feature's distribution in the day's training rows from that in the requests "
        "that the server logged on the day (`daily.requests`); null: not compared.",
    )
    auc_drop: float = Field(
        default=0.05,
        gt=0,
        description="How much worse than on the last good days the model in service may rank the new day; or as much "
        "as chance and habit explain. More says that labels no longer belong to their rows.",
    )
    min_rows: int = Field(
        default=100, ge=1, lt=2**31, description="Rows that a domain has on a usual day, for its own gates."
    )


class Daily(Section):
    """A feed that is judged, learned and served day by day."""

    judge_hours: float = Field(
        default=4.0,
        ge=1 / 60,
        le=12,
        description="The day's newest hours judge the candidate before it learns them too. A whole number of such "
        "stretches makes a day.",
    )
    deviations: float = Field(
        default=3.0,
        gt=0,
        description="The bounds of `evaluation` refuse a candidate only where it misses them by more than so many "
        "standard errors, users drawn by chance: few hours judge it. For `max_drop` the error of the paired "
        "comparison with the model in service.",
    )
    replay_days: int = Field(
        default=7, ge=0, le=3_660, description="Earlier days of which a share of the rows is learned again."
    )
    replay_share: float = Field(default=0.3, ge=0, le=1, description="That share.")
    learning_rate_scale: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="Share of `training.learning_rate` that a day is learned with: the more days a model has learned, "
        "the less one of them should move it. A training from nothing has the whole rate.",
    )
    calibrate: bool = Field(
        default=True,
        description="Whether the served model has a last stage that scales and moves the logit of each domain by what "
        "stayed wrong from day to day: it learns from each day's rows before the model does.",
    )
    rebase_days: int = Field(
        default=14,
        ge=1,
        le=3_660,
        description="A training from nothing learns so many of the last days, whole.",
    )
    rebase_every: int = Field(
        default=0,
        ge=0,
        le=3_660,
        description="Days after which the model is trained from nothing again; 0: only where the weights cannot "
        "follow the declaration.",
    )
    late_share: float = Field(
        default=0.001,
        ge=0,
        le=1,
        description="Late rows of a day that is done, as a share of its rows, up to which it is not made again.",
    )
    requests: str = Field(
        default="requests",
        min_length=1,
        description="Folder, of its own or in the data folder, where servers log what they are asked (`dfei serve "
        "--log-requests`, or TF Serving's `PredictionLog`s in TFRecord files); where it is not there, nothing is "
        "compared with it.",
    )
    gates: DriftGates = Field(default_factory=DriftGates, description="What of a day's data is refused.")

    @field_validator("judge_hours")
    @classmethod
    def _divides_a_day(cls, value: float) -> float:
        stretches = 24 / value
        if abs(stretches - round(stretches)) > 1e-9:
            raise ValueError(
                f"{value:g} hours do not divide a day: give 1, 2, 3, 4, 6, 8 or 12, or a part of an hour"
            )
        return value
