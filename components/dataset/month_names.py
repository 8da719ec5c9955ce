"""Dates with the name of a month, as texts that begin with the year: `Wed Sep 13 14:51:46 -0700 2017`."""

from __future__ import annotations

import polars as pl

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NUMBERS = {month: f"{number:02d}" for number, month in enumerate(_MONTHS, 1)}
_NAME = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"^\s*(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_CLOCK = r"(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s*[ap]\.?m\.?)?)"
_OFFSET = r"(?P<offset>Z|UTC|GMT|[+-]\d{2}:?\d{2})"
_LATER = rf"(?:[:,\sT]\s*(?:at\s+)?{_CLOCK})?(?:\s*{_OFFSET})?\s*$"
_DATES = (
    # Of `ctime`, and with an offset of a social network's interface.
    rf"(?i){_WEEKDAY}{_NAME}\s+(?P<day>\d{{1,2}})\s+{_CLOCK}(?:\s+{_OFFSET})?\s+(?P<year>\d{{4}})\s*$",
    # Of mails and of web servers: `Wed, 13 Sep 2017 14:51:46 GMT`, `13/Sep/2017:14:51:46 -0700`, `13-Sep-2017`.
    rf"(?i){_WEEKDAY}(?P<day>\d{{1,2}})[-/ .]+{_NAME}[-/, ]+(?P<year>\d{{4}}){_LATER}",
    # `Sep 13, 2017 2:51 PM`.
    rf"(?i){_WEEKDAY}{_NAME}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}}){_LATER}",
)


def year_first(text: pl.Series) -> pl.Series:
    """Texts with such dates written as `2017-09-13 14:51:46-0700`; others as they are.

    Names of months and days are English, whole or their first three letters.
    """
    if not text.str.contains(rf"(?i)(?:{'|'.join(_MONTHS)})").any():
        return text
    written = text
    for pattern in _DATES:
        parts = text.str.extract_groups(pattern).struct.unnest()
        dates = parts.select(
            pl.concat_str(
                "year",
                pl.col("month").str.to_lowercase().str.slice(0, 3).replace_strict(_NUMBERS, default=None),
                pl.col("day").str.zfill(2),
                separator="-",
            )
            + " "
            + pl.col("clock").fill_null("00:00")
            + pl.col("offset").fill_null("")
        ).to_series()
        written = dates.zip_with(dates.is_not_null(), written)
    return written
