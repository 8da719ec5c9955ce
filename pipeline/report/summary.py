"""Everything a report says of a run, as one document: what `run.json` holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from components.evaluator.results import EvaluationResult, Overall
from components.study.document import Study
from models.registry import MODELS


def _figure(value: Any) -> Any:
    """Six digits are enough to draw; NaN stands for nothing."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if math.isfinite(value) else None


Figure = Annotated[float | None, BeforeValidator(_figure)]


class _Part(BaseModel):
    """A part of the summary; what a later version added is ignored."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class Epoch(_Part):
    """One pass over the training rows.

    Attributes:
      epoch: from 1.
      phase: "fit", or "refit" on training and validation rows together.
      train_loss: mean cross-entropy of the rows as they were trained on.
      validation_average_auc: None where it was not validated or is undefined.
      best: whether it was the best so far.
    """

    epoch: int
    phase: Literal["fit", "refit"] = "fit"
    train_loss: Figure = Field(default=None, validation_alias=AliasChoices("train_loss", "loss"))
    validation_average_auc: Figure = Field(
        default=None, validation_alias=AliasChoices("validation_average_auc", "average_auc")
    )
    best: bool = False
    seconds: Figure = None
    rows_per_second: Figure = None


class MovingAverages(_Part):
    """Each domain's averages of the behaviours after each time bucket.

    Attributes:
      domains: most training rows first.
      buckets: start of each bucket, ISO text, wall-clock in the declared zone.
      behaviours: their names.
      values: [domain][bucket][behaviour]; None before a domain's first value.
    """

    domains: list[str]
    buckets: list[str]
    behaviours: list[str]
    values: list[list[list[Figure]]]


class Integration(_Part):
    """How much attention the rows of one domain pay to each domain.

    Attributes:
      domains: names of the rows and columns.
      weights: [domain of the rows][domain they look at].
    """

    domains: list[str]
    weights: list[list[Figure]]


class BestPossible(_Part):
    """What the true click probabilities of a simulated feed reach: no model can honestly beat it."""

    average: Figure = Field(default=None, validation_alias=AliasChoices("average", "average_auc"))
    overall: Figure = Field(default=None, validation_alias=AliasChoices("overall", "overall_auc"))
    domains: dict[str, Figure] = Field(default_factory=dict)


def _averages(value: Any) -> Any:
    """Also takes a `components.transform.domain_curves.DomainCurves`."""
    if not hasattr(value, "averages"):
        return value
    return {
        "domains": list(value.domains),
        "buckets": [bucket.isoformat() for bucket in value.buckets],
        "behaviours": list(value.behaviours),
        "values": value.averages.astype(float).tolist(),
    }


def _best_possible(value: Any) -> Any:
    """Also takes the document of `pipeline.simulate`, which holds more than the AUC of a domain."""
    if not isinstance(value, Mapping) or "domains" not in value:
        return value
    domains = {
        str(name): score.get("auc") if isinstance(score, Mapping) else score
        for name, score in value["domains"].items()
    }
    return {**value, "domains": domains}


class RunSummary(_Part):
    """A run from data to decision. Whatever a run lacks may be left out.

    Attributes:
      dataset, description, licence: of the declaration.
      label, domain: the raw columns in these roles.
      model, seed, parameters: the model's name, its seed, its trainable numbers.
      command, directory: how to run it again, and where: its paths may be relative.
      versions, hashes: of the packages; of data, code and settings.
      created: when, ISO text.
      rows: impressions by split, `train` and `eval`.
      ingest: ExampleGen's report.
      anomalies: what the data has against its schema, in words.
      evaluation: numbers by domain, gates.
      history: the epochs.
      eval_state: which averages the evaluated rows saw: `frozen` at the end of training, or refreshed `daily`.
      train_state: which averages of keys the training rows saw: those of the `past`, or of `other_buckets`.
      moving_averages, integration: why the model answers as it does.
      study: what the model does beyond the Evaluator's numbers.
      seconds, cpu_seconds: by component, in the order they ran.
      seconds_before: of cached components, what they took when they ran, as far as that is known.
      peak_memory_mb: by component, of this process and those it started.
      cached: components taken from an earlier run.
      blessed, reasons, pushed_to: what was decided, and why not.
      warnings: what should be read though the run did what it was told.
      unchanged_since: when the run was that this one took everything from, ISO text; None where anything was new.
      still_served: the version that was served before the run and after it: of a refused run, and of one that came to
        the model which had been pushed; None where there is none.
      is_served: whether `still_served` is this very model, as where a bound alone was changed.
      blessed_before: of a refused run, what the last blessed model had on the rows of its own run; None where that is
        not known.
      bounds: where the bounds were set that refused the model.
      fixed: features whose value is declared for evaluation and serving (`at_serving`), with it.
      best_possible_auc: for a simulated feed.
    """

    dataset: str
    description: str = ""
    licence: str = ""
    label: str = ""
    domain: str = ""
    model: str
    seed: int = 0
    parameters: int | None = None
    command: str = ""
    directory: str = ""
    versions: dict[str, str] = Field(default_factory=dict)
    hashes: dict[str, str] = Field(default_factory=dict)
    created: str = ""
    rows: dict[str, int] = Field(default_factory=dict)
    ingest: dict[str, Any] = Field(default_factory=dict)
    anomalies: list[str] = Field(default_factory=list)
    evaluation: EvaluationResult | None = None
    history: list[Epoch] = Field(default_factory=list)
    eval_state: Literal["frozen", "daily"] = "frozen"
    train_state: Literal["past", "other_buckets"] = "past"
    moving_averages: Annotated[MovingAverages | None, BeforeValidator(_averages)] = None
    integration: Integration | None = None
    study: Study | None = None
    seconds: dict[str, float] = Field(default_factory=dict)
    cpu_seconds: dict[str, float] = Field(default_factory=dict)
    seconds_before: dict[str, float] = Field(default_factory=dict)
    peak_memory_mb: dict[str, float] = Field(default_factory=dict)
    cached: list[str] = Field(default_factory=list)
    blessed: bool = False
    reasons: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    pushed_to: str | None = None
    unchanged_since: str | None = None
    still_served: str | None = None
    is_served: bool = False
    blessed_before: Overall | None = None
    bounds: str = ""
    fixed: dict[str, int | float | str] = {}
    best_possible_auc: Annotated[BestPossible | None, BeforeValidator(_best_possible)] = None

    @property
    def model_title(self) -> str:
        """The model's name as its paper writes it, where it is a known one."""
        return MODELS.get(self.model, self.model).partition(":")[2] or self.model

    def domain_title(self, name: str) -> str:
        """A domain with what it is: "tab 4"."""
        return f"{self.domain or 'domain'} {name}"
