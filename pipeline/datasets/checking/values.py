"""Values that the declaration did not expect: texts of the label, places that serving takes, days without a click."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from components.dataset.declaration import Declaration
from components.example_gen import checks
from components.example_gen.scan import days
from components.example_gen.spellings import domain_doubts, plain
from pipeline.datasets.checking.findings import Finding
from pipeline.datasets.survey import Survey

_SHOWN = 6
# Of the label: more are no kinds of event.
_MOST_TEXTS = 1_000
# A text of fewer than half of the days, and of so many of their rows, is a new one.
_NEW_DAYS, _NEW_ROWS = 0.5, 0.01


class DeclaredValues:
    """Counts the label's texts by day, and the rows that have a value which serving takes in a feature's place."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        rule = declaration.positive
        self._known = [text.strip() for text in (rule.one_of if rule is not None else None) or []]
        self._texts = pl.DataFrame(schema={"text": pl.String, "day": pl.Int64, "rows": pl.UInt32})
        self._served = dict.fromkeys(declaration.at_serving(), 0)

    def add(self, rows: pl.DataFrame) -> None:
        """Adds accepted, joined rows."""
        declaration = self._declaration
        for name, value in declaration.at_serving().items():
            self._served[name] += int((rows[name] == value).sum())
        if not self._known or self._texts["text"].n_unique() > _MOST_TEXTS:
            return
        text = rows[declaration.label].cast(pl.String).str.strip_chars()
        counted = pl.DataFrame({"text": text, "day": days(rows, declaration.split.day_ms)})
        self._texts = (
            pl.concat(
                [self._texts, counted.group_by("text", "day").agg(rows=pl.len())], how="vertical_relaxed"
            )
            .group_by("text", "day")
            .agg(pl.col("rows").sum())
        )

    def findings(self, survey: Survey) -> Iterator[Finding]:
        """What a run would train on without a word."""
        yield from self._label_texts(len(survey.scan.days))
        yield from days_without_clicks(survey.scan, self._declaration)
        for words in domain_doubts(self._declaration.domain, survey.scan.domain_rows):
            found, _, remedy = words.rpartition(": ")
            yield Finding("warn", "domains", found, remedy)
        for name, rows in self._served.items():
            if not rows:
                yield Finding(
                    "warn",
                    "at_serving",
                    f"features.{name}.at_serving: no row has {self._declaration.at_serving()[name]!r}: the model would "
                    "answer for a value that it never met",
                    f"give a value that {name} has; `dfei dataset new` proposes one",
                )

    def _label_texts(self, number_of_days: int) -> Iterator[Finding]:
        if self._texts["text"].n_unique() > _MOST_TEXTS:
            return
        like = {plain(text): text for text in self._known}
        rows_of_day = dict(self._texts.group_by("day").agg(pl.col("rows").sum()).iter_rows())
        for (text,), found in (
            self._texts.drop_nulls().sort("text", "day").group_by("text", maintain_order=True)
        ):
            if text in self._known:
                continue
            there = [int(day) for day in found["day"]]
            rows = int(found["rows"].sum())
            meant = like.get(plain(str(text)))
            recent = len(there) < _NEW_DAYS * number_of_days
            much = rows >= _NEW_ROWS * sum(rows_of_day[day] for day in there)
            if meant is None and not (recent and much):
                continue
            where = _day_names(there, self._declaration)
            told = f", as {meant!r} but for case or spaces" if meant is not None else ", a text of few days"
            yield Finding(
                "warn",
                "label",
                f"{self._declaration.label} is {text!r} in {rows:,} rows{told}, and counts as 0: {where}",
                f"add it to positive.one_of if it is a click, {[*self._known, text]}, or mend these files",
            )


def days_without_clicks(scan: checks.Scan, declaration: Declaration) -> Iterator[Finding]:
    """Days whose clicks seem to be lost."""
    silent = checks.silent_days(scan)
    if silent:
        rows = sum(scan.days[day] for day in silent)
        rate = scan.positives / sum(count for day, count in scan.days.items() if scan.clicks.get(day))
        yield Finding(
            "warn",
            "label",
            f"{len(silent)} {declaration.split.day_word} with {rows:,} rows and no click, where others have "
            f"{rate:.1%}: {_day_names(silent, declaration)}",
            f"look how {declaration.label} is written in these files; leave them out if their clicks are lost",
        )


def _day_names(numbers: list[int], declaration: Declaration) -> str:
    shown = ", ".join(checks.day_name(day, declaration.split.day_ms) for day in numbers[:_SHOWN])
    return f"{shown}{' ...' if len(numbers) > _SHOWN else ''}"
