"""The blocks of the moving averages."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from components.dataset.sections.section import FileList, Section

DECAY = 0.9


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
    edges: list[float] = Field(
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

    decay: Annotated[float, Field(gt=0, lt=1)] | Literal["auto"] = Field(
        default=DECAY,
        description="Of the domain's averages; auto: each domain's is chosen from the log, by how well its averages "
        "tell its next bucket, and held to what suits all domains where it has few.",
    )
    key_decay: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Of the sums of the keys beyond the domain, S_t = decay * S_{t-1} + sum_t; 1: all of the past "
        "counts alike; null: `decay`, 0.9 where that is auto.",
    )
    bucket_hours: float = Field(default=24.0, ge=1 / 60, le=8_784, description="Length of a time bucket.")
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
    max_keys: int = Field(default=200_000, ge=1, lt=2**31, description="Most values of a key that are kept.")
    expire_days: int | None = Field(
        default=None,
        ge=1,
        le=36_525,
        description="Days without a row after which a value is forgotten: its id in a vocabulary (a domain's too) and "
        "its averages; null: never. It matters to a feed that goes on for months.",
    )
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
    def usual_key_decay(self) -> float:
        """Of keys that have none of their own."""
        if self.key_decay is not None:
            return self.key_decay
        return DECAY if isinstance(self.decay, str) else self.decay

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
        usual = self.usual_key_decay
        decays = [usual if key.decay is None else key.decay for key in self.keys]
        decays += [usual] * len(self.history_columns)
        if any(decay != 1 for decay in decays):
            raise ValueError(
                f"train_state: {self.train_state} needs averages that do not forget: set key_decay: 1, and no other "
                "decay of a key"
            )
        return self
