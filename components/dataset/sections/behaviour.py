"""The blocks about what is only known after the exposure: which values count as 1, and the behaviours."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from components.dataset.sections.section import ColumnType, Section


class Positive(Section):
    """Which values of a column count as 1, all others as 0; a missing value stays missing.

    `at_least` is for numbers (a film rated 4 or better), `one_of` for texts (`[purchase]`, `["yes"]`), which are
    compared as they are written in the files, without the spaces around them.
    """

    at_least: float | None = Field(default=None, description="The lowest number that counts.")
    one_of: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="The texts that count."
    )

    @model_validator(mode="after")
    def _one_form(self) -> Positive:
        if (self.at_least is None) == (self.one_of is None):
            raise ValueError("give either `at_least` (a number) or `one_of` (a list of texts)")
        return self

    @property
    def type(self) -> ColumnType:
        """What the column is read as."""
        return "string" if self.at_least is None else "float"


class Behaviour(Section):
    """What the user did after the exposure: a column, or a ratio of two columns clipped to a range.

    A ratio whose denominator is 0 or missing, or that is too large for a 32-bit float, is missing. The denominator may
    be known before the exposure (a video's length), so it may be a feature; the column and the numerator may not.
    """

    column: str | None = Field(default=None, description="A column of numbers.")
    positive: Positive | None = Field(
        default=None, description="Makes 0 or 1 of the column: {at_least: 4} or {one_of: [purchase]}."
    )
    numerator: str | None = Field(default=None, description="Or a ratio: this column …")
    denominator: str | None = Field(default=None, description="… over this one.")
    clip: tuple[float, float] | None = Field(default=None, description="Lowest and highest value kept.")

    @model_validator(mode="after")
    def _one_form(self) -> Behaviour:
        ratio = self.numerator is not None and self.denominator is not None
        partial = (self.numerator is None) != (self.denominator is None)
        if partial or ratio == (self.column is not None):
            raise ValueError("give either `column`, or both `numerator` and `denominator`")
        if self.positive is not None and self.column is None:
            raise ValueError("`positive` needs `column`")
        if self.clip is not None and self.clip[0] >= self.clip[1]:
            raise ValueError(f"clip must be [low, high] with low < high, not {list(self.clip)}")
        return self

    @property
    def source(self) -> str:
        """The post-exposure column: the value itself, or the ratio's numerator."""
        source = self.column or self.numerator
        assert source is not None
        return source

    @property
    def columns(self) -> tuple[str, ...]:
        """Every raw column that the behaviour is computed from."""
        return tuple(name for name in (self.column, self.numerator, self.denominator) if name is not None)
