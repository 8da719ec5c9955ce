"""What a comparison found: `comparison.json`, from which the table and the page are made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from components.champion.choice import Choice, Passed, choose
from components.comparison.lead import Lead, LeadOver, Verdict
from components.comparison.significance import SeedTest, UserTest


class Spread(BaseModel):
    """A metric over seeds.

    Attributes:
      mean: over the seeds; None where it is undefined for one of them.
      sd: sample standard deviation; None with one seed.
    """

    mean: float | None = None
    sd: float | None = None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread:
        """Of one value per seed."""
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return cls()
        return cls(mean=float(np.mean(known)), sd=float(np.std(known, ddof=1)) if len(known) > 1 else None)


class Trained(BaseModel):
    """One training of one model.

    Attributes:
      average_auc, overall_auc, gauc, log_loss: on the evaluation rows, from the stored scores, exactly.
      evaluator_average_auc: what TFMA's Evaluator found for the exported model.
      validation_average_auc: on the validation days, when training stopped.
      validation: by which the champion is chosen: the same, or where no domain counts there minus the log loss.
      epochs: of the best epoch; the number of trees for trees.
      rows_per_second, training_seconds: of the training loop, validation left out.
      cpu_seconds, peak_memory_mb: of the training, validation included; the memory of the process that trains, with
        all that it has loaded, None where the system does not tell.
      blessed, failures: whether the gates were passed, and why not.
      model_uri: the exported model.
    """

    seed: int
    average_auc: float | None
    overall_auc: float | None
    gauc: float | None
    log_loss: float
    evaluator_average_auc: float | None
    validation_average_auc: float | None
    validation: float | None = None
    epochs: int
    rows_per_second: float
    training_seconds: float
    cpu_seconds: float | None = None
    peak_memory_mb: float | None = None
    blessed: bool
    failures: list[str] = Field(default_factory=list)
    model_uri: str


class Trial(BaseModel):
    """Settings that a search tried.

    Attributes:
      settings: none is the declaration as it is.
      value: the validation average AUC that they reached; None: training diverged.
      error: standard error, over the users, of its difference from the declaration's; None: not known.
    """

    settings: list[str]
    value: float | None
    error: float | None = None


class Versus(LeadOver):
    """The reference model minus this one, in average AUC.

    Attributes:
      seed_p_value: paired t-test over seeds; None with fewer than three.
      standard_error: of the bootstrap.
      wins: share of the resampled users on which the reference is ahead.
      domains: the same within each domain that counts, whose mean is the difference in average AUC; over several
        periods, within those that count in every one.
      seeds: trainings of each; 0 where a result of old does not say.
      seeds_agree: whether none of them has the other one ahead.
    """

    seed_p_value: float | None
    standard_error: float
    wins: float
    seeds: int = 0
    seeds_agree: bool = True

    @property
    def verdict(self) -> Verdict:
        """As `LeadOver.verdict`; `unknown` too where a seed has the other one ahead."""
        found = super().verdict
        return "unknown" if found in ("ahead", "behind") and not self.seeds_agree else found

    @classmethod
    def of(cls, seeds: SeedTest, users: UserTest, domains: dict[str, UserTest] | None = None) -> Versus:
        """From the two tests, and the second one's within each domain."""
        return cls(
            difference=seeds.difference,
            seed_p_value=seeds.p_value,
            low=users.low,
            high=users.high,
            standard_error=users.standard_error,
            wins=users.wins,
            seeds=seeds.seeds,
            seeds_agree=seeds.agree,
            domains={
                name: Lead(difference=test.difference, low=test.low, high=test.high)
                for name, test in (domains or {}).items()
            },
        )


class Response(BaseModel):
    """Milliseconds of a request."""

    median_ms: float
    p95_ms: float


class Compared(BaseModel):
    """One model of the comparison.

    Attributes:
      name, title, model, settings: what was trained (`pipeline.compare.variants`).
      tuned: the settings that the search chose, beside the declaration's; trials: what it tried.
      parameters: trained numbers.
      trained: one per seed.
      average_auc, overall_auc, gauc, log_loss, validation_average_auc: over seeds.
      domain_auc: mean over seeds by domain; None where it has one class.
      rows_per_second, training_seconds: medians over seeds.
      latency: by the rows of a request.
      blessed: seeds that passed the gates.
      versus: the reference against this model; None for the reference itself.
      rank: by average AUC, from 1.
      below_best: best possible average AUC minus this; None for real logs.
    """

    name: str
    title: str
    model: str
    settings: list[str] = Field(default_factory=list)
    tuned: list[str] = Field(default_factory=list)
    trials: list[Trial] = Field(default_factory=list)
    parameters: int
    trained: list[Trained]
    average_auc: Spread
    overall_auc: Spread
    gauc: Spread
    log_loss: Spread
    validation_average_auc: Spread
    domain_auc: dict[str, float | None]
    rows_per_second: float
    training_seconds: float
    latency: dict[str, Response] = Field(default_factory=dict)
    blessed: int
    versus: Versus | None = None
    rank: int = 0
    below_best: float | None = None


class PastClickRate(BaseModel):
    """What the past click rate, which needs no model, reaches on the same rows.

    Attributes:
      description: whose rate it is, and of how many rows.
      average_auc, overall_auc, gauc, log_loss: as a model's.
      versus: the reference minus it; None where one of them has no average AUC.
    """

    description: str
    average_auc: float | None
    overall_auc: float | None
    gauc: float | None
    log_loss: float
    versus: Versus | None = None


class EvaluatedDomain(BaseModel):
    """A domain's evaluation rows; `counts`: whether it counts in the average AUC."""

    rows: int
    positives: int
    counts: bool
    best_possible_auc: float | None = None


class Champion(BaseModel):
    """What `--push` chose among those that passed the gates, or the user with `--champion`.

    Attributes:
      name, seed: of the training.
      validation_average_auc: its own on the validation days.
      average_auc: its own on the evaluation rows.
      pushed_to: its version.
    """

    name: str
    seed: int
    validation_average_auc: float | None
    average_auc: float | None = None
    pushed_to: str | None = None


class Comparison(BaseModel):
    """The whole comparison.

    Attributes:
      directory: where the command was given: its paths may be relative.
      reference: the model that the others are tested against.
      bootstrap_samples: resampled sets of users.
      trials: settings tried for each model.
      jobs, threads: trainings at once and threads of each.
      models: best average AUC first.
      past_click_rate: what needs no model; None in results of old.
      champion: with `--push`, where a model passed.
      versus_champion: the champion, or without `--push` the model that would be it, minus each other one.
      gated: whether the gates judged them; not so where the Evaluator was left out, as in studies.
      best_possible_average_auc, best_possible_overall_auc: of a simulated feed.
      cached: components taken from an earlier run.
      seconds: of this run, by component; processor seconds in `cpu_seconds`.
    """

    dataset: str
    description: str = ""
    licence: str = ""
    label: str
    domain: str
    created: str
    command: str
    directory: str = ""
    versions: dict[str, str]
    hashes: dict[str, str]
    seeds: list[int]
    trials: int
    jobs: int
    threads: int
    bootstrap_samples: int
    rows: dict[str, int]
    users: int
    min_rows: int
    domains: dict[str, EvaluatedDomain]
    reference: str
    models: list[Compared]
    past_click_rate: PastClickRate | None = None
    gated: bool = True
    champion: Champion | None = None
    versus_champion: dict[str, Versus] = Field(default_factory=dict)
    refused: list[str] = Field(default_factory=list)
    best_possible_average_auc: float | None = None
    best_possible_overall_auc: float | None = None
    cached: list[str] = Field(default_factory=list)
    seconds: dict[str, float] = Field(default_factory=dict)
    cpu_seconds: dict[str, float] = Field(default_factory=dict)
    wall_seconds: float = 0.0

    def model(self, name: str) -> Compared:
        """The compared model of this name."""
        return next(model for model in self.models if model.name == name)

    def choice(self) -> Choice | None:
        """What the validation days choose of the models; None where none passed."""
        return chosen(self.models)


def chosen(models: Sequence[Compared]) -> Choice | None:
    """What the validation days choose, as `--push` does; None where no model passed its gates."""
    return choose(
        {
            model.name: [
                Passed(
                    run.seed,
                    run.validation_average_auc if run.validation is None else run.validation,
                    run.training_seconds,
                )
                for run in model.trained
                if run.blessed
            ]
            for model in models
        }
    )
