"""The outcome of a study, as `study.json` holds it and a report shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from components.comparison.lead import Lead, LeadOver


class _Part(BaseModel):
    """A part of a study; what a later version added is ignored."""

    model_config = ConfigDict(extra="ignore")


# The one of the simple systems that learns nothing.
PAST_CLICK_RATE = "past click rate"


class Leads(_Part):
    """How far the model is ahead of another system, whatever number of rows a domain needs to decide.

    A domain that decides at a number decides at every lower one: the sets of domains are one within the other.

    Attributes:
      within: the lead in each domain; those that decide at the highest numbers first.
      over: the lead in average AUC over the first of them, the first two, and so on.
      overall: in AUC over all rows together; None with one class, and where nobody asked.
      log_loss: how much larger the other's log loss over all rows is; None where nobody asked.
    """

    within: dict[str, Lead] = Field(default_factory=dict)
    over: list[Lead] = Field(default_factory=list)
    overall: Lead | None = None
    log_loss: Lead | None = None

    def over_these(self, domains: Iterable[str]) -> LeadOver | None:
        """The lead over just these domains; None where they are not those that decide at some number of rows."""
        wanted = set(domains)
        first = list(self.within)[: len(wanted)]
        if not wanted or set(first) != wanted:
            return None
        whole = self.over[len(wanted) - 1]
        return LeadOver(**whole.model_dump(), domains={name: self.within[name] for name in first})


def _leads(value: Any) -> Any:
    """A list, as reports had it once, is not read any more."""
    return Leads() if isinstance(value, list) else value


class Baseline(_Part):
    """A simple system evaluated on the same rows as the model.

    Attributes:
      name: a few words.
      description: how it predicts and what it learned from.
      overall_auc, log_loss: over all rows.
      domains: AUC by domain; None with one class.
      leads: how far the model is ahead of it, over whichever domains the gates let decide.
      seconds: what it took.
    """

    name: str
    description: str
    leads: Annotated[Leads, BeforeValidator(_leads)] = Field(default_factory=Leads)
    overall_auc: float | None = None
    log_loss: float | None = None
    domains: dict[str, float | None] = Field(default_factory=dict)
    seconds: float = 0.0

    def lead(self, domains: Iterable[str]) -> Lead | None:
        """How far the model is ahead over just these domains; None where that was not worked out."""
        return self.leads.over_these(domains)

    def average_auc(self, domains: Iterable[str]) -> float | None:
        """Unweighted mean over these domains; None where one of them has no AUC here."""
        aucs = [self.domains.get(name) for name in domains]
        known = [auc for auc in aucs if auc is not None]
        return sum(known) / len(known) if known and len(known) == len(aucs) else None


class CalibrationBin(_Part):
    """Rows of like prediction: their mean prediction, their click rate, their number."""

    predicted: float
    observed: float
    rows: int


class IdGroup(_Part):
    """Evaluation rows by how well their user or item was known in training.

    Attributes:
      role: whose id.
      column: its column.
      known: whether the id is in the vocabulary, which takes ids with at least `min_count` training rows.
      min_count: see above.
      rows, positives: impressions and clicks.
      auc, auc_standard_error: over these rows together; None with one class.
      calibration: mean prediction / click rate; None without a click.
    """

    role: Literal["user", "item"]
    column: str
    known: bool
    min_count: int
    rows: int
    positives: int
    auc: float | None = None
    auc_standard_error: float | None = None
    calibration: float | None = None


class Importance(_Part):
    """How much worse the ranking becomes when the values of an input are shuffled between rows.

    Attributes:
      name: of the input.
      kind: a feature, a group of moving averages, or the domain itself (which tower and head answer).
      drop: loss of average AUC.
      standard_error: of the loss, from five parts of the rows.
    """

    name: str
    kind: Literal["feature", "averages", "domain"]
    drop: float
    standard_error: float = 0.0


class TrainedDomain(_Part):
    """What a domain gave to learn from, and how well its evaluation rows' ids were known.

    Attributes:
      rows, positives: training impressions and clicks.
      rare_users, rare_items: shares of its evaluation rows with an id that is not in the vocabulary.
    """

    rows: int = 0
    positives: int = 0
    rare_users: float | None = None
    rare_items: float | None = None


class DayRows(_Part):
    """Impressions and clicks of a day.

    Attributes:
      day: ISO date, in the declared zone.
      split: `train` or `eval`.
    """

    day: str
    split: Literal["train", "eval"]
    rows: int
    positives: int


class Study(_Part):
    """What was found.

    Attributes:
      rows: evaluation rows studied.
      of: evaluation rows there are, about.
      seconds, cpu_seconds: what the study added to the run.
      baselines: simple systems on the same rows.
      calibration: by domain, "" for all rows together.
      groups: known and rare users and items.
      importance: most important first.
      importance_rows: rows that were shuffled.
      domains: training rows by domain.
      days: impressions by day, in order.
    """

    rows: int
    of: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    baselines: list[Baseline] = Field(
        default_factory=list, validation_alias=AliasChoices("baselines", "anchors")
    )
    calibration: dict[str, list[CalibrationBin]] = Field(default_factory=dict)
    groups: list[IdGroup] = Field(default_factory=list)
    importance: list[Importance] = Field(default_factory=list)
    importance_rows: int = 0
    domains: dict[str, TrainedDomain] = Field(default_factory=dict)
    days: list[DayRows] = Field(default_factory=list)
