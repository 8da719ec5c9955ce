"""In which time zone the users live."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from components.dataset.month_names import year_first
from components.dataset.sections import TimeUnit
from components.dataset.times import to_local_ms
from pipeline.datasets.proposal.figures import mean
from pipeline.datasets.proposal.kinds import Values
from pipeline.datasets.proposal.words import PARTS_OF_TIME, has, words

_OFFSETS = sorted((hours for hours in [*range(-11, 15), 5.5, 9.5, 5.75, 3.5, -3.5]), key=abs)
_ZONES = {
    5.5: "Asia/Kolkata",
    9.5: "Australia/Darwin",
    5.75: "Asia/Kathmandu",
    3.5: "Asia/Tehran",
    -3.5: "America/St_Johns",
}
# Of places whose clocks are alike one each: where users live is told by no log.
_PLACES = (
    "Europe/Paris",
    "Europe/London",
    "Europe/Helsinki",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/Halifax",
    "America/St_Johns",
    "America/Santiago",
    "Asia/Jerusalem",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Pacific/Auckland",
)
_AGREES = 0.9
_OFFSET = r"([+-])(\d{2}):?(\d{2})?\s*$"


@dataclass(frozen=True)
class Zone:
    """The zone in which days begin.

    Attributes:
      name: IANA's.
      why: for the comment.
      told: whether the files tell it; else it is a guess.
    """

    name: str
    why: str
    told: bool = True


def time_zone(clock: Values, unit: TimeUnit, others: dict[str, Values]) -> Zone:
    """The zone in which days begin, and why.

    Offsets in the text tell it; else a second column with the local date or hour does; else nothing does.
    """
    if unit not in ("s", "ms", "us", "ns"):
        return Zone(*_zone_of_text(clock.column))
    instants = to_local_ms(clock.column, unit, "UTC").values
    for name, values in others.items():
        if values.kind in ("int", "string", "time") and has(name, PARTS_OF_TIME):
            found = _zone_by(name, values, instants)
            if found is not None:
                return Zone(*found)
    return Zone("UTC", _nothing_tells(instants), told=False)


def _zone_of_text(column: pl.Series) -> tuple[str, str, bool]:
    """Name, reason, and whether the files tell it."""
    if isinstance(column.dtype, (pl.Datetime, pl.Date)):
        zone = getattr(column.dtype, "time_zone", None)
        if zone is None:
            return "UTC", "the times have no zone: they are wall-clock times as they stand", True
        return (
            (zone, "Parquet's zone of the column", True)
            if zone not in ("UTC", "Etc/UTC", "+00:00")
            else (
                "UTC",
                "Parquet's zone of the column; days begin at midnight there",
                True,
            )
        )
    text = year_first(column.cast(pl.String).drop_nulls())
    offsets = text.str.extract_groups(_OFFSET)
    frame = pl.DataFrame(
        {"sign": offsets.struct[0], "hours": offsets.struct[1], "minutes": offsets.struct[2]}
    )
    # `2024-05-06` ends like an offset: an offset follows a time of day.
    with_offset = frame.filter(text.str.contains(r":\d{2}.*[+-]\d{2}:?(\d{2})?\s*$"))
    if with_offset.is_empty():
        if text.str.contains(r"(Z|z|UTC)\s*$").any():
            return "UTC", "the times end in Z; days begin at midnight of UTC", True
        return "UTC", "the times have no offset: they are wall-clock times as they stand", True
    sign, hours, minutes = with_offset.group_by(pl.all()).len().sort("len").row(-1)[:3]
    offset = (int(hours) + int(minutes or 0) / 60) * (-1 if sign == "-" else 1)
    name = _zone_name(offset)
    if name is None:
        return (
            "UTC",
            f"most times have the offset {sign}{hours}:{minutes or '00'}, which names no zone",
            False,
        )
    place = _place_of(column)
    if place is not None:
        return place, "the times have its offsets from UTC, before the clock was changed and after", True
    return (
        name,
        f"the offset of most times is {sign}{hours}:{minutes or '00'}{_called(name)}; a place's name (as Europe/Paris) "
        "knows summer time",
        False,
    )


def _place_of(column: pl.Series) -> str | None:
    """A place whose offsets all times have, where there are two of them: the clock was changed within the log."""
    text = column.cast(pl.String)
    found = text.str.extract_groups(_OFFSET)
    frame = pl.DataFrame(
        {
            "moment": to_local_ms(column, "iso", "UTC").values // 3_600_000,
            "sign": found.struct[0],
            "hours": found.struct[1].cast(pl.Int64, strict=False),
            "minutes": found.struct[2].cast(pl.Int64, strict=False).fill_null(0),
        }
    ).drop_nulls(["moment", "hours"])
    ahead = pl.when(pl.col("sign") == "-").then(-1).otherwise(1) * (pl.col("hours") * 60 + pl.col("minutes"))
    hours = frame.select("moment", ahead.alias("ahead")).unique().sort("moment")
    if hours["ahead"].n_unique() < 2:
        return None
    moments = pl.from_epoch(hours["moment"] * 3_600, time_unit="s").dt.replace_time_zone("UTC")
    for place in _PLACES:
        local = moments.dt.convert_time_zone(place)
        there = (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_minutes()
        if (there == hours["ahead"]).all():
            return place
    return None


def _zone_by(name: str, values: Values, instants: pl.Series) -> tuple[str, str] | None:
    given = values.column.cast(pl.String).str.replace_all(r"[^0-9]", "").str.slice(0, 8)
    lengths = given.drop_nulls().str.len_chars()
    if lengths.is_empty():
        return None
    is_date = bool((lengths == 8).all())
    hourly = words(name)[-1:] in (("hour",), ("hh",)) and values.kind == "int"
    if not is_date and not hourly:
        return None
    local_format = "%Y%m%d" if is_date else "%-H"
    best, share = 0.0, 0.0
    for offset in _OFFSETS:
        local = pl.from_epoch(instants + round(offset * 3_600_000), time_unit="ms").dt.strftime(local_format)
        agrees = mean(local == given)
        if agrees > share + 1e-9:
            best, share = float(offset), agrees
    zone = _zone_name(best)
    if share < _AGREES or zone is None:
        return None
    ahead = f"{abs(best):g} hours {'ahead of' if best > 0 else 'behind'} UTC" if best else "UTC"
    return (
        zone,
        f"{ahead}{_called(zone)}, where the column {name} agrees with the timestamp in {share:.1%} of the rows",
    )


def _zone_name(offset: float) -> str | None:
    if offset == 0:
        return "UTC"
    if offset == int(offset) and -12 <= offset <= 14:
        return f"Etc/GMT{'-' if offset > 0 else '+'}{abs(int(offset))}"
    return _ZONES.get(offset)


def _called(zone: str) -> str:
    """What to know of a name that looks like its contrary."""
    return (
        f", which IANA calls {zone} (its signs are the other way round)" if zone.startswith("Etc/GMT") else ""
    )


def _nothing_tells(instants: pl.Series) -> str:
    hours = (instants.drop_nulls() // 3_600_000 % 24).to_numpy()
    counts = np.bincount(hours, minlength=24).astype(float)
    smooth = counts + np.roll(counts, 1) + np.roll(counts, -1)
    quiet, busy = int(np.argmin(smooth)), int(np.argmax(smooth))
    words_ = "nothing in the files tells the users' zone; days begin at midnight there"
    if smooth[busy] > 0 and smooth[quiet] < 0.5 * smooth[busy]:
        words_ += f" (fewest rows around {quiet:02d}:00 UTC: night, where the users are?)"
    return words_
