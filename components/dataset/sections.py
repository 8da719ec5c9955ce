"""The sections of a dataset declaration: each class is one block of the YAML document."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    model_validator,
)

ColumnType = Literal["int", "float", "string"]
Treatment = Literal["vocabulary", "buckets", "normalise", "log_normalise", "as_is"]
TimeUnit = Literal["s", "ms", "us", "iso"]
MetricName = Literal["average_auc", "overall_auc", "gauc", "log_loss", "calibration"]

CATEGORICAL_TREATMENTS: tuple[str, ...] = ("vocabulary", "buckets")


class Section(BaseModel):
    """Base of every block: an unknown key is an error, values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


FileList = Annotated[list[str], BeforeValidator(_one_or_many), Field(min_length=1)]


Separator = Annotated[str | None, Field(pattern=r"^[\x01-\x09 !#-~]$")]


class Impressions(Section):
    """The impression log: one row per item shown to a user in a domain."""

    files: FileList = Field(
        description="File names or globs, looked up in the data folder, then in its `data` folder. "
        "A glob leaves hidden files out. The suffix tells the format: .csv, .tsv, either with .gz, .parquet. One line "
        "of CSV is one row: a value in quotes may hold separators and doubled quotes, not line breaks; a table with "
        "such values needs Parquet."
    )
    separator: Separator = Field(default=None, description="Between values; the suffix tells it.")


class Lookup(Section):
    """A table joined to each impression by key; a key without a match leaves its columns missing."""

    files: FileList = Field(description="File names or globs, as for the impressions.")
    separator: Separator = Field(default=None, description="Between values; the suffix tells it.")
    key: str | Annotated[dict[str, str], Field(min_length=1, max_length=1)] = Field(
        description="The column that both have, or {column of the impressions, or of a lookup before this one: column "
        "of the lookup}. Read as it is declared, else as text."
    )
    prefix: str = Field(
        default="", description="Put before the lookup's column names, when two tables use the same name."
    )

    @property
    def left_key(self) -> str:
        """The key's column on the impressions' side."""
        return self.key if isinstance(self.key, str) else next(iter(self.key))

    @property
    def right_key(self) -> str:
        """The key's column in the lookup's own files."""
        return self.key if isinstance(self.key, str) else next(iter(self.key.values()))


class Timestamp(Section):
    """When the impression was shown. ISO text without an offset is wall-clock time in the declared zone."""

    column: str = Field(description="The column with the time.")
    unit: TimeUnit = Field(description="s, ms or us since 1970-01-01 UTC, or iso (text).")


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

    A ratio whose denominator is 0 or missing is missing. The denominator may be known before the exposure (a
    video's length), so it may be a feature; the column and the numerator may not.
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


class Feature(Section):
    """A column that the model may use, and how it is treated.

    vocabulary: id in the column's vocabulary (values seen at least `min_count` times, the `max_size` most
    frequent), others hashed into `oov_buckets`; buckets: quantile buckets; normalise: z-score, within 20
    standard deviations; log_normalise: log1p, then the same; as_is: the number itself. With `separator` a
    text holds several values, of which `max_length` are used.
    """

    type: ColumnType = Field(
        description="How its values are read; an int of -1 is no value, in logs and requests. Missing in a number, "
        r"in any case: nothing, `nan`, `-nan`, `null`, `none`, `na`, `n/a`, `\N`; in a string: nothing, so `null` "
        "is a text."
    )
    treatment: Treatment = Field(description="What becomes of them: see above.")
    max_size: int = Field(default=100_000, ge=1, description="vocabulary: most entries kept.")
    min_count: int = Field(default=1, ge=1, description="vocabulary: rows a value needs to be kept.")
    oov_buckets: int = Field(default=1, ge=1, description="vocabulary: hash buckets of unknown values.")
    buckets: int = Field(default=10, ge=2, le=1000, description="buckets: number of quantile buckets.")
    separator: str | None = Field(
        default=None, min_length=1, description="Splits a text into several values."
    )
    max_length: int = Field(default=1, ge=1, le=100, description="Most values used of a list.")

    @model_validator(mode="after")
    def _fits(self) -> Feature:
        if self.treatment == "vocabulary" and self.type == "float":
            raise ValueError("a vocabulary needs type int or string, not float")
        if self.treatment != "vocabulary" and self.type == "string":
            raise ValueError(f"treatment {self.treatment} needs a number (int or float), not string")
        if self.separator is not None and self.treatment != "vocabulary":
            raise ValueError(f"a list (separator) needs treatment vocabulary, not {self.treatment}")
        if self.separator is None and self.max_length != 1:
            raise ValueError("max_length is for lists: it needs a separator")
        return self

    @property
    def is_categorical(self) -> bool:
        """Whether Transform packs it among the `categorical` ids (else among the `numeric` values)."""
        return self.treatment in CATEGORICAL_TREATMENTS

    @property
    def is_list(self) -> bool:
        """Whether a row may carry several values."""
        return self.separator is not None


class AverageKey(Section):
    """A combination of columns over whose values behaviour is averaged; in YAML also its columns alone."""

    columns: FileList = Field(
        description="Columns, `ranges`, or the role names `domain`, `user`, `item`: [user, domain] is one key of two."
    )
    decay: float | None = Field(
        default=None, gt=0, le=1, description="Of this key's sums; null: `moving_average.key_decay`."
    )


class Range(Section):
    """A numeric feature cut into ranges, so that it can be part of a key: below the first edge, from it to below the
    second ..., from the last on. The edges are declared, not learned: one pass over the log then does.
    """

    column: str = Field(description="The feature, a number.")
    edges: list[FiniteFloat] = Field(
        min_length=1, max_length=1000, description="Where ranges begin, in the feature's unit, ascending."
    )

    @model_validator(mode="after")
    def _ascending(self) -> Range:
        if any(not low < high for low, high in pairwise(self.edges)):
            raise ValueError(f"edges must be ascending numbers, each once, not {self.edges}")
        return self


def _key(value: Any) -> Any:
    return {"columns": value} if isinstance(value, (str, list)) else value


class MovingAverageSettings(Section):
    """The averages of the behaviours over past time buckets, per domain and per further keys.

    `m_t = decay * m_{t-1} + (1 - decay) * mean_t`; a row in bucket `t` sees the state as of `t - 1`.
    """

    decay: float = Field(default=0.9, gt=0, lt=1, description="Of the domain's averages.")
    key_decay: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Of the sums of the keys beyond the domain, S_t = decay * S_{t-1} + sum_t; 1: all of the past "
        "counts alike; null: `decay`.",
    )
    bucket_hours: float = Field(default=24.0, gt=0, description="Length of a time bucket.")
    ranges: dict[str, Range] = Field(
        default_factory=dict,
        description="By a name of your own, for use in `keys`: numbers cut into ranges.",
    )
    keys: list[Annotated[AverageKey, BeforeValidator(_key)]] = Field(
        default_factory=list,
        description="Keys beyond the domain: columns, `ranges`, or the role names `domain`, `user`, `item`; "
        "[user, domain] is one key made of two columns; {columns: [item], decay: 0.5} has a decay of its own.",
    )
    prior_strength: float | Literal["learned"] = Field(
        default="learned", description="Impressions that the prior counts for when a key has few of its own."
    )
    max_keys: int = Field(default=200_000, ge=1, description="Most values of a key that are kept.")
    history: bool | list[str] = Field(
        default=False,
        description="Also averages in every domain: true for the user's, or a list of roles or columns such as "
        "[user, item].",
    )
    history_behaviours: list[str] | None = Field(
        default=None, description="Behaviours that the history gives; null: all. Counts are always given."
    )
    eval_state: Literal["frozen", "daily"] = Field(
        default="frozen",
        description="frozen: rows to evaluate see the state at the end of training, as a server would; daily: "
        "the state as of their own bucket, from all earlier rows, those to evaluate included.",
    )
    train_state: Literal["past", "other_buckets"] = Field(
        default="past",
        description="What the averages of keys of a training row are made of. past: all that came before its bucket, "
        "so the first days know little; other_buckets: all training rows but those of its own bucket, earlier and "
        "later ones, so every row knows as much as a row to be served will (cross-fitting). Rows to evaluate and to "
        "serve see the same state in both.",
    )

    @property
    def history_columns(self) -> tuple[str, ...]:
        """Roles or columns whose averages in every domain are given."""
        if isinstance(self.history, bool):
            return ("user",) if self.history else ()
        return tuple(self.history)

    @model_validator(mode="after")
    def _prior(self) -> MovingAverageSettings:
        if not isinstance(self.prior_strength, str) and self.prior_strength < 0:
            raise ValueError(f"prior_strength must be `learned` or a number >= 0, not {self.prior_strength}")
        return self

    @model_validator(mode="after")
    def _train_state(self) -> MovingAverageSettings:
        if self.train_state == "past":
            return self
        if self.eval_state != "frozen":
            raise ValueError(
                f"train_state: {self.train_state} needs eval_state: frozen, not {self.eval_state}"
            )
        usual = self.decay if self.key_decay is None else self.key_decay
        decays = [usual if key.decay is None else key.decay for key in self.keys]
        decays += [usual] * len(self.history_columns)
        if any(decay != 1 for decay in decays):
            raise ValueError(
                f"train_state: {self.train_state} needs averages that do not forget: set key_decay: 1, and no other "
                "decay of a key"
            )
        return self


def _text_or_date(value: Any) -> Any:
    if isinstance(value, (int, float)):
        raise ValueError(f"{value} is a number: write a date as 2026-03-01")
    return value


def _wall_clock(moment: datetime) -> datetime:
    if moment.tzinfo is not None:
        raise ValueError("is wall-clock in time_zone: leave the offset out")
    return moment


Moment = Annotated[datetime, BeforeValidator(_text_or_date), AfterValidator(_wall_clock)]


class Split(Section):
    """The time-forward split by calendar days (in the declared zone) that have data.

    A log of a few hours has no days to split by: `day_hours: 1` makes every hour count as a day.
    """

    eval_days: int = Field(default=2, ge=1, description="The last days: split `eval`.")
    validation_days: int = Field(default=1, ge=1, description="The last days of `train`, for early stopping.")
    day_hours: float = Field(
        default=24.0,
        ge=1 / 60,
        description="Hours that count as one day of the split, from midnight of 1 January 1970 on.",
    )
    before: Moment | None = Field(
        default=None,
        description="The log is read as if it ended here: rows of this moment (ISO, wall-clock in `time_zone`; a date "
        "is its midnight) and later are left out. To train again as of an earlier day, and to backtest. Not within the "
        "hour that the clock runs through twice in autumn.",
    )

    @property
    def before_ms(self) -> int | None:
        """Wall-clock milliseconds of `before`, counted as if they were UTC."""
        return (
            None if self.before is None else (self.before - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
        )

    @property
    def day_ms(self) -> int:
        """Length of what counts as a day, in milliseconds."""
        return round(self.day_hours * 3_600_000)

    @property
    def day_word(self) -> str:
        """What messages call what counts as a day."""
        return "days" if self.day_hours == 24 else f"stretches of {self.day_hours:g} hours"


class Report(Section):
    """What the run's report looks into, beyond the Evaluator's numbers."""

    study: bool = Field(
        default=True,
        description="Whether the model is studied once it is trained: simple systems on the same rows, calibration, "
        "cold and warm users and items, importance of the inputs.",
    )
    rows: int = Field(default=100_000, ge=1, description="Most evaluation rows studied, evenly spread.")


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
    return {"average_auc": Threshold(min=0.5, max_drop=0.01)}


class Evaluation(Section):
    """The gates. Domains with fewer evaluation rows than `min_rows`, or with one class, never decide."""

    min_rows: int = Field(default=500, ge=1, description="Evaluation rows that a domain needs to decide.")
    thresholds: dict[MetricName, Threshold] = Field(
        default_factory=_better_than_chance,
        description="Bounds of metrics over all rows, or over the domains that decide; {} for no gate at all. Those in "
        "a file replace the default; `--set evaluation.thresholds.gauc.min=0.6` adds to those that hold without it, "
        "and `--set evaluation.thresholds.gauc=null` takes one away.",
    )
    domains: dict[str, Threshold] = Field(
        default_factory=dict, description="Bounds of the AUC of single domains, by the domain's value."
    )

    @model_validator(mode="before")
    @classmethod
    def _domain_names_are_text(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("domains"), dict):
            return {**data, "domains": {str(k): v for k, v in data["domains"].items()}}
        return data
