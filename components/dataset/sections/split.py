"""The block of the split in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from components.dataset.sections.section import BY_DOMAIN, Section


def _text_or_date(value: Any) -> Any:
    if isinstance(value, (int, float)):
        raise ValueError(f"{value} is a number: write a date as 2026-03-01")
    return value


def _wall_clock(moment: datetime) -> datetime:
    if moment.tzinfo is not None:
        raise ValueError("is wall-clock in time_zone: leave the offset out")
    return moment


def milliseconds(moment: datetime | None) -> int | None:
    """Wall-clock milliseconds of a moment, counted as if they were UTC."""
    return None if moment is None else (moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1)


Moment = Annotated[datetime, BeforeValidator(_text_or_date), AfterValidator(_wall_clock)]


class Split(Section):
    """The time-forward split by calendar days (in the declared zone) that have data.

    A log of a few hours has no days to split by: `day_hours: 1` makes every hour count as a day.
    """

    eval_days: int = Field(default=2, ge=1, le=36_525, description="The last days: split `eval`.")
    validation_days: int = Field(
        default=1, ge=1, le=36_525, description="The last days of `train`, for early stopping."
    )
    day_hours: float = Field(
        default=24.0,
        ge=1 / 60,
        le=8_784,
        description="Hours that count as one day of the split, from midnight of 1 January 1970 on.",
    )
    since: Moment | None = Field(
        default=None,
        description="The log is read as if it began here: rows before this moment, written as `before`, are left out.",
    )
    before: Moment | None = Field(
        default=None,
        description="The log is read as if it ended here: rows of this moment (ISO, wall-clock in `time_zone`; a date "
        "is its midnight) and later are left out. To train again as of an earlier day, and to backtest. Not within the "
        "hour that the clock runs through twice in autumn.",
    )

    domains_since: Annotated[dict[str, Moment], BY_DOMAIN] = Field(
        default_factory=dict,
        description="The log is read as if these domains (by their value) had begun here: their rows before this "
        "moment, written as `before`, are left out. For a domain whose early rows are of another page.",
    )

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> Split:
        if self.since is not None and self.before is not None and self.since >= self.before:
            raise ValueError(f"since {self.since} is not before {self.before}: no row would be left")
        return self

    @property
    def since_ms(self) -> int | None:
        """Wall-clock milliseconds of `since`, counted as if they were UTC."""
        return milliseconds(self.since)

    @property
    def before_ms(self) -> int | None:
        """Wall-clock milliseconds of `before`, counted as if they were UTC."""
        return milliseconds(self.before)

    @property
    def day_ms(self) -> int:
        """Length of what counts as a day, in milliseconds."""
        return round(self.day_hours * 3_600_000)

    @property
    def day_word(self) -> str:
        """What messages call what counts as a day."""
        return "days" if self.day_hours == 24 else f"stretches of {self.day_hours:g} hours"
