"""The dataset declaration: what a run knows about its data, as one validated, immutable document."""

from __future__ import annotations

import functools
from pathlib import Path
from zoneinfo import available_timezones

from pydantic import Field, field_validator, model_validator

import schemas
from components.dataset.consistency import problems
from components.dataset.names import BEHAVIOUR_PREFIX, LOCAL_TIME, ROLES
from components.dataset.sections import (
    Behaviour,
    ColumnType,
    Daily,
    Evaluation,
    Events,
    Feature,
    Impressions,
    Lookup,
    MovingAverageSettings,
    Positive,
    Report,
    Section,
    Split,
    Timestamp,
)
from models.settings import ModelSettings, TrainingSettings

DAY_MS = 86_400_000
SCHEMAS_DIR = Path(schemas.__file__).parent


@functools.cache
def _zones() -> set[str]:
    # Every file of zones is opened for it. This machine's own zone and that of no place are among them.
    return available_timezones() - {"Factory", "localtime"}


def iana_zone(name: str) -> str:
    """The name, if there is such a time zone.

    Raises:
      ValueError: there is none.
    """
    if name not in _zones():
        raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Asia/Shanghai")
    return name


class Declaration(Section):
    """A dataset: its files, roles, behaviours, features, split, and the settings of the run.

    Raw columns are those of the files. The examples carry every feature under its name, the label, the columns
    of the roles, each behaviour `b` as `behaviour.<b>`, and `local_time_ms` (wall-clock milliseconds in
    `time_zone`).

    Raises:
      InconsistencyError: a post-exposure column is declared a feature; a name is reserved; the type of a role
        is not declared; a key of the moving averages is unknown. It comes inside pydantic's ValidationError,
        which `load_declaration` turns into an InputError with file and line.
    """

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Of the data set; letters, digits, _ . and -."
    )
    description: str = Field(default="", description="A sentence for the report.")
    licence: str = Field(default="", description="Of the data, for the report.")
    time_zone: str = Field(
        default="UTC", description="IANA name; days and time buckets are wall-clock there."
    )
    impressions: Impressions = Field(description="The log.")
    lookups: list[Lookup] = Field(default_factory=list, description="Tables joined to the log by key.")
    events: list[Events] = Field(
        default_factory=list, description="Logs of behaviour without an impression: for the averages alone."
    )
    label: str = Field(description="A column of 0 and 1, or of anything else together with `positive`.")
    positive: Positive | None = Field(
        default=None,
        description="Which values of the label's column count as 1: {at_least: 4} or {one_of: [purchase]}.",
    )
    domain: str = Field(description="The column that tells scenarios apart: a tab, a page, a country.")
    user: str | None = Field(
        default=None, description="The user's column: GAUC and personal averages need it."
    )
    item: str | None = Field(default=None, description="The item's column.")
    author: str | None = Field(default=None, description="The item's maker; PEPNet personalises by it.")
    timestamp: Timestamp = Field(description="When an impression was shown: orders and splits the log.")
    columns: dict[str, ColumnType] = Field(
        default_factory=dict, description="Types of raw columns that are not features."
    )
    behaviours: dict[str, Behaviour] = Field(
        default_factory=dict, description="By a name of your own: what is averaged over the past."
    )
    post_exposure: list[str] = Field(
        default_factory=list,
        description="Further columns that are only known after the exposure: never features.",
    )
    features: dict[str, Feature] = Field(min_length=1, description="By column: what the model may use.")
    moving_average: MovingAverageSettings = Field(
        default_factory=MovingAverageSettings, description="How behaviours are averaged, and over what."
    )
    split: Split = Field(default_factory=Split, description="Which days train, stop the training, and judge.")
    model: ModelSettings = Field(
        default_factory=ModelSettings, description="Which model, its sizes and switches."
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="Order of the rows, rates, stopping."
    )
    evaluation: Evaluation = Field(default_factory=Evaluation, description="What a model must reach.")
    report: Report = Field(default_factory=Report, description="What the report looks into.")
    daily: Daily = Field(
        default_factory=Daily, description="What `dfei daily` does with a feed that goes on day by day."
    )
    max_rejected_share: float = Field(
        default=0.001,
        ge=0,
        le=1,
        description="Share of lines that may be unusable before the run is refused.",
    )
    seed: int = Field(
        default=1,
        ge=0,
        lt=2**31,
        description="Of initial weights, the order of rows and dropout.",
    )
    source: str = Field(default="", description="Set by the loader: the YAML file.")

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        return iana_zone(value)

    @model_validator(mode="after")
    def _consistent(self) -> Declaration:
        for problem in problems(self):
            raise problem
        return self

    def is_list(self, column: str) -> bool:
        """Whether a column is a feature of several values."""
        return column in self.features and self.features[column].is_list

    def resolve_role(self, name: str) -> str:
        """The column of a role name (`domain`, `user`, `item`); any other name is returned as it is."""
        if name in ROLES and name not in self.features:
            return getattr(self, name) or name
        return name

    def column_type(self, column: str) -> ColumnType:
        """The type of a raw column: as a feature, else as under `columns`, else what its use implies."""
        if column in self.features:
            return self.features[column].type
        if column in self.columns:
            return self.columns[column]
        if column == self.label and self.positive is None:
            return "int"
        rules = [b.positive for b in self.behaviours.values() if b.column == column]
        rules.append(self.positive if column == self.label else None)
        if any(rule is not None and rule.type == "string" for rule in rules):
            return "string"
        if column == self.timestamp.column:
            return "int" if self.timestamp.unit in ("s", "ms", "us", "ns") else "string"
        return "float"

    def has_type(self, column: str) -> bool:
        """Whether a raw column has a type, declared or by its use; one that is only the key of a lookup has none."""
        roles = (self.domain, self.user, self.item, self.label, self.timestamp.column)
        return (
            column in self.features
            or column in self.columns
            or column in roles
            or any(column in behaviour.columns for behaviour in self.behaviours.values())
        )

    def raw_columns(self) -> dict[str, ColumnType]:
        """Every column that is read from the files (impressions or lookups), with its type."""
        names = [self.domain, self.user, self.item, self.label, self.timestamp.column, *self.features]
        names += [column for behaviour in self.behaviours.values() for column in behaviour.columns]
        return {name: self.column_type(name) for name in names if name is not None}

    def example_columns(self) -> dict[str, ColumnType]:
        """Every column of the examples that ExampleGen writes, with its type (behaviours are float)."""
        names = [self.domain, self.user, self.item, *self.features, self.label]
        columns: dict[str, ColumnType] = {name: self.column_type(name) for name in names if name is not None}
        columns[self.label] = "int"
        columns.update({BEHAVIOUR_PREFIX + name: "float" for name in self.behaviours})
        columns[LOCAL_TIME] = "int"
        return columns

    def at_serving(self) -> dict[str, int | float | str]:
        """Features that no request carries, and the value that serving takes in their place."""
        return {name: f.at_serving for name, f in self.features.items() if f.at_serving is not None}

    def serving_columns(self) -> dict[str, ColumnType]:
        """The raw columns that a request carries: the features and the columns of domain, user and item."""
        names = [name for name in self.features if name not in self.at_serving()]
        names += [name for name in (self.domain, self.user, self.item) if name is not None]
        return {name: self.column_type(name) for name in names}

    def categorical_features(self) -> dict[str, Feature]:
        """Features packed into `categorical`, in their order."""
        return {name: f for name, f in self.features.items() if f.is_categorical}

    def numeric_features(self) -> dict[str, Feature]:
        """Features packed into `numeric`, in their order."""
        return {name: f for name, f in self.features.items() if not f.is_categorical}

    def behaviour_columns(self) -> tuple[str, ...]:
        """The behaviours' column names in the examples, in declared order."""
        return tuple(BEHAVIOUR_PREFIX + name for name in self.behaviours)

    def schema_path(self) -> Path | None:
        """The TFMD schema (`.pbtxt`) beside the YAML file; `None` where there is none."""
        if not self.source:
            return None
        path = Path(self.source)
        path = (path if path.is_absolute() else SCHEMAS_DIR / path).with_suffix(".pbtxt")
        return path if path.is_file() else None

    def to_json(self) -> str:
        """The whole document, defaults included; the same declaration always gives the same text."""
        return self.model_dump_json()

    @classmethod
    @functools.cache
    def from_json(cls, text: str) -> Declaration:
        """The declaration that `to_json` wrote; each text is read once in a process."""
        return cls.model_validate_json(text)
