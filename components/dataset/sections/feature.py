"""The block of one feature."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from components.dataset.names import Written
from components.dataset.sections.section import ColumnType, Section

Treatment = Literal["vocabulary", "buckets", "normalise", "log_normalise", "as_is"]

CATEGORICAL_TREATMENTS: tuple[str, ...] = ("vocabulary", "buckets")


class Feature(Section):
    """A column that the model may use, and how it is treated.

    vocabulary: id in the column's vocabulary (values seen at least `min_count` times, the `max_size` most
    frequent), others hashed into `oov_buckets`; buckets: quantile buckets; normalise: z-score, within 20
    standard deviations; log_normalise: log1p, then the same; as_is: the number itself. With `separator` a
    text holds several values, and with `list` a row of Parquet does, of which `max_length` are used.
    """

    type: ColumnType = Field(
        description="How its values are read; an int of -1 is no value, in logs and requests. Missing in a number, "
        r"in any case: nothing, `nan`, `-nan`, `null`, `none`, `na`, `n/a`, `\N`; in a string: nothing, so `null` "
        "is a text."
    )
    written: Written = Field(
        default="plain",
        description="How a float's texts are written. point: `$1,234.50`, `12.5%` (which is 12.5), `(3.00)` for a "
        "loss, `-` and `?` for nothing, besides plain numbers; comma: `1.234,50 €`, `12,5%`. iso, dmy, mdy: dates, "
        "with or without a time, as `timestamp.unit` has them: the days since 1970 (`2024-03-01` is 19783). Requests "
        "have numbers; `dfei predict` reads such texts, too: from a pushed model it knows how, from a server (`--url`) "
        "with `--written COLUMN=comma`.",
    )
    treatment: Treatment = Field(description="What becomes of them: see above.")
    max_size: int = Field(default=100_000, ge=1, lt=2**31, description="vocabulary: most entries kept.")
    min_count: int = Field(
        default=1, ge=1, lt=2**31, description="vocabulary: rows a value needs to be kept."
    )
    oov_buckets: int = Field(
        default=1, ge=1, lt=2**31, description="vocabulary: hash buckets of unknown values."
    )
    buckets: int = Field(default=10, ge=2, le=1000, description="buckets: number of quantile buckets.")
    separator: str | None = Field(
        default=None,
        min_length=1,
        description="Splits a text of CSV into several values; no value of a list may hold it.",
    )
    list: bool = Field(
        default=False,
        description="A row holds several values without a separator: a list of Parquet or JSON; in requests, texts "
        "with U+001F behind each.",
    )
    max_length: int = Field(default=1, ge=1, le=100, description="Most values used of a list.")
    at_serving: int | float | str | None = Field(
        default=None,
        description="For what is not known when items are ranked, as the position: trained on as logged, and this "
        "value in evaluation and serving, where requests do not carry it.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Feature:
        if self.written != "plain" and self.type != "float":
            raise ValueError(f"written: {self.written} is for type float, not {self.type}")
        if self.treatment == "vocabulary" and self.type == "float":
            raise ValueError("a vocabulary needs type int or string, not float")
        if self.treatment != "vocabulary" and self.type == "string":
            raise ValueError(f"treatment {self.treatment} needs a number (int or float), not string")
        if self.is_list and self.treatment != "vocabulary":
            raise ValueError(f"a list needs treatment vocabulary, not {self.treatment}")
        if not self.is_list and self.max_length != 1:
            raise ValueError("max_length is for lists: it needs a separator, or `list: true`")
        if self.at_serving is not None:
            self._fits_type(self.at_serving)
        return self

    def _fits_type(self, value: float | str) -> None:
        if self.is_list:
            raise ValueError("at_serving is for single values, not for lists")
        kinds = {"int": int, "float": (int, float), "string": str}[self.type]
        if isinstance(value, bool) or not isinstance(value, kinds):  # type: ignore[arg-type]
            raise ValueError(f"at_serving {value!r} is no {self.type}, as the feature is")

    @property
    def is_categorical(self) -> bool:
        """Whether Transform packs it among the `categorical` ids (else among the `numeric` values)."""
        return self.treatment in CATEGORICAL_TREATMENTS

    @property
    def is_list(self) -> bool:
        """Whether a row may carry several values."""
        return self.list or self.separator is not None
