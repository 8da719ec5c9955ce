"""Every setting of a model and of its training, typed and described. Imports no TensorFlow.

Each field is reached from the command line by its dotted name, for example `--set model.decay=0.95`.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_LAYERS, MOST_UNITS, MOST_EPOCHS = 64, 1 << 16, 100_000
MANY_DOMAINS = 100
"""Above it a domain's own full kernels cost more than they are worth (`docs/results.md`)."""
# Training length that follows the rows; measured worth: `docs/results/own-data.md`.
AUTO_EPOCHS, AUTO_MOST_EPOCHS = 3, 30
AUTO_STEPS, AUTO_EPOCH_STEPS = 600, 200
AUTO_STEP_ROWS = (32, 1024)
# So many optimiser steps an epoch, at most, for each row of the rarer class; where there are fewer than `AUTO_RARER` of
# them in proportion fewer: a handful is learned by heart, and a model is then worse than one constant rate.
AUTO_STEPS_PER_RARER, AUTO_RARER = 2, 160


class _Settings(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )


class ModelSettings(_Settings):
    """What is built. What a model has no use for is ignored by it where a declaration has it, for its
    other models, and refused in `--set` (`models.registry.check_read`)."""

    name: str = Field("dfei", description="Model to build: a name of models/registry.py.")
    layers: list[int] = Field([128, 64, 32], description="Units of each hidden layer of a tower or expert.")
    embedding_size: int = Field(16, ge=1, le=4096, description="Length k of every embedding vector.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of tower units dropped in training.")
    embedding_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the inputs of the towers (embeddings, numbers) dropped in training.",
    )
    embedding_l2: float = Field(
        0.0,
        ge=0,
        description="Penalty on the squared length of the embeddings that a row uses, mean over rows.",
    )
    id_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of training rows in which user, item and author are each replaced by 'missing'.",
    )
    use_ids: bool = Field(True, description="Whether user, item and author ids are inputs.")
    domain_feature: bool | None = Field(
        None,
        description="Whether the domain's id is an input like any feature; null is the model's own default.",
    )
    averages: Literal["transform", "learned", "both", "none"] = Field(
        "both",
        description="Which moving averages feed the model: Transform's averages of behaviour, the learned "
        "domain state v_d of DFE, both, or none.",
    )
    history: Literal["none", "flat", "attention", "both"] = Field(
        "flat",
        description="What is done with the user's (and item's) averages in every domain, where rows have them: "
        "flat: all are inputs; attention: DFEI takes what it needs of them by attention over the domains "
        "(other models: flat); both.",
    )
    head_hidden: int = Field(
        32, ge=0, le=MOST_UNITS, description="Units of the hidden layer of each output head; 0 for none."
    )
    decay: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="DFE: decay a in v_d <- a v_d + (1 - a) mean(u_d), for a batch of 32 rows or more of the "
        "domain; a smaller one moves v_d less.",
    )
    domain_extraction: bool = Field(True, description="DFE: whether DFEI has the domain state v_d at all.")
    domain_integration: bool = Field(
        True, description="DFI: whether DFEI attends over all domains' features."
    )
    attention_size: int | None = Field(
        None,
        ge=1,
        le=MOST_UNITS,
        description="DFI: length of queries, keys and values; null is the width of the last tower layer.",
    )
    common_base: bool | None = Field(
        None,
        description="Whether DFEI's towers and heads of the domains are offsets, zero at first, from a common "
        "one that all domains train, instead of each domain's own from the start (the paper's); null: where there "
        f"are more than {MANY_DOMAINS} domains.",
    )
    specific_rank: Annotated[int, Field(ge=1, le=MOST_UNITS)] | Literal["auto"] | None = Field(
        "auto",
        description="Rank of the offsets that common_base gives DFEI's domains, a layer's offset being then a product "
        "of two narrow kernels; null for full ones; auto: 2 where there are more than "
        f"{MANY_DOMAINS} domains. With hundreds of domains a small rank is what keeps requests of mixed domains cheap.",
    )
    personal_heads: int = Field(
        4,
        ge=1,
        le=1024,
        description="DFEI: heads of the attention over a row's own averages in every domain.",
    )
    domain_state: Literal["moving_average", "frozen_random"] = Field(
        "moving_average",
        description="DFE: the moving average, or (the defect of the released code, to measure it) a random "
        "state that nothing is ever accumulated in.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings that one model alone has, by name; its class documents them.",
    )

    @field_validator("layers")
    @classmethod
    def _positive_layers(cls, value: list[int]) -> list[int]:
        if not value or min(value) < 1:
            raise ValueError(f"layers must name at least one layer, each of at least one unit, got {value}")
        if len(value) > MOST_LAYERS or max(value) > MOST_UNITS:
            raise ValueError(
                f"layers may name {MOST_LAYERS} layers of {MOST_UNITS} units at most, got {len(value)} layers and "
                f"{max(value)} units"
            )
        return value

    @model_validator(mode="after")
    def _rank_of_offsets(self) -> ModelSettings:
        if isinstance(self.specific_rank, int) and not self.common_base:
            raise ValueError(
                f"specific_rank {self.specific_rank} is the rank of offsets from a common tower: "
                "set common_base: true too"
            )
        return self

    def offsets(self, domains: int) -> tuple[bool, int | None]:
        """Whether DFEI's towers of so many domains are offsets from a common one, and of which rank."""
        many = domains > MANY_DOMAINS
        base = many if self.common_base is None else self.common_base
        if self.specific_rank == "auto":
            return base, 2 if many and base else None
        return base, self.specific_rank

    @property
    def uses_transform_averages(self) -> bool:
        """Whether the row's `averages` are inputs."""
        return self.averages in ("transform", "both")

    @property
    def uses_domain_state(self) -> bool:
        """Whether DFEI keeps and reads v_d."""
        return self.domain_extraction and self.averages in ("learned", "both")


class TrainingSettings(_Settings):
    """How it is trained."""

    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | Literal["auto"] = Field(
        "auto",
        description=f"Most passes over the training rows; auto: {AUTO_EPOCHS}, more where these make fewer than "
        f"{AUTO_STEPS} optimiser steps, at most {AUTO_MOST_EPOCHS}; fewer steps where there are few rows of a class.",
    )
    batch_size: Annotated[int, Field(ge=1, le=1 << 20)] | Literal["auto"] = Field(
        "auto",
        description="Rows B of one domain in one mini-batch; auto: a power of two such that an epoch has about "
        f"{AUTO_EPOCH_STEPS} optimiser steps, of {AUTO_STEP_ROWS[0]} to {AUTO_STEP_ROWS[1]:,} rows each.",
    )
    domains_per_step: int = Field(
        8, ge=1, le=1 << 16, description="Mini-batches G in one fused or mixed step."
    )
    schedule: Literal["cyclic", "interleaved", "fused", "mixed"] = Field(
        "fused",
        description="Order of the mini-batches. cyclic: the paper's, domains in turn until each runs out; "
        "interleaved: each domain's batches spread evenly over the epoch; fused: G of those in one step; "
        "mixed: random rows of all domains, G * B a step.",
    )
    loss_weighting: Literal["batch", "row"] = Field(
        "row",
        description="What a mini-batch with fewer than batch_size rows weighs: as much as a full one (batch, the "
        "paper's), or in proportion to its rows (row). Mixed steps always weigh rows.",
    )
    optimizer: Literal["adam", "sgd"] = Field(
        "adam", description="Update rule; adam is lazy on gathered slices."
    )
    learning_rate: float = Field(1e-3, gt=0, description="Rate of the domain-specific part.")
    learning_rate_schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant",
        description="The rate after the warm-up: constant, or down to 0 at the end of the last of "
        "`epochs` (with refit: of the chosen number).",
    )
    warmup: float = Field(
        0.0, ge=0, lt=1, description="Share of the steps in which the rate grows from 0 to learning_rate."
    )
    shared_lr_scale: float | Literal["1/D"] = Field(
        1.0, description="Rate of the shared part as a multiple of learning_rate; '1/D' is the paper's rule."
    )
    patience: int = Field(
        1,
        ge=0,
        le=MOST_EPOCHS,
        description="Epochs without improvement after which training stops; 0 for never.",
    )
    min_epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] | Literal["auto"] = Field(
        "auto",
        description="Fewest epochs that validation may choose; `epochs`, if that is less. auto: "
        f"{AUTO_EPOCHS} where the rate falls over the epochs, else 1: a look at an early one, still at a high rate, "
        "says little about a training of that length.",
    )
    min_delta: float = Field(
        1e-4,
        ge=0,
        description="Least gain in validation average AUC that counts; less may be what the order of sums makes.",
    )
    validation_min_rows: int = Field(
        100,
        ge=1,
        lt=2**31,
        description="Rows that a domain needs in the validation days, and ten times those of its rarer class, to count "
        "in the average AUC that epochs are chosen by; where no domain does, the log loss chooses.",
    )
    refit: bool = Field(
        False,
        description="Whether, once the number of epochs is chosen, the model is trained anew for that long "
        "on training and validation rows together.",
    )
    strategy: Literal["none", "mirrored", "multi_worker"] = Field(
        "none",
        description="Who makes each step together: one device; mirrored: the GPUs of this machine; multi_worker: the "
        "processes that TF_CONFIG lists, this one among them (docs/scaling.md). Same steps, same model up to "
        "rounding; dropout draws otherwise.",
    )
    checkpoint_steps: int = Field(
        500, ge=1, lt=2**31, description="Steps between checkpoints; one more after every epoch."
    )
    steps_per_call: int = Field(
        8,
        ge=1,
        le=10_000,
        description="Optimiser steps that one call into TensorFlow makes; one where several replicas train together.",
    )

    @model_validator(mode="after")
    def _can_be_shared(self) -> TrainingSettings:
        if self.strategy != "none" and self.schedule not in ("fused", "mixed"):
            raise ValueError(
                f"strategy {self.strategy} shares out the mini-batches of a step, and a {self.schedule} step has one: "
                "take schedule fused or mixed"
            )
        return self

    @model_validator(mode="after")
    def _positive_scale(self) -> TrainingSettings:
        if self.shared_lr_scale != "1/D" and float(self.shared_lr_scale) <= 0:
            raise ValueError(f"shared_lr_scale must be above 0 or '1/D', got {self.shared_lr_scale}")
        return self

    def for_rows(self, rows: int, rarer: int | None = None) -> TrainingSettings:
        """These settings with `auto` replaced by what it means for so many training rows.

        Args:
            rows: to train on.
            rarer: of them, those of the rarer class; None where it is not known. A log in which they are few is
                learned by heart in as few steps.
        """
        together = self.domains_per_step if self.schedule in ("fused", "mixed") else 1
        told = AUTO_STEPS if rarer is None else max(1, rarer)
        # Declared epochs are a length of their own: a day of a feed learns its few clicks beside those of earlier days.
        share = min(1.0, told / AUTO_RARER) if self.epochs == "auto" else 1.0
        most = max(1.0, AUTO_STEPS_PER_RARER * told * share)
        if self.batch_size == "auto":
            low, high = AUTO_STEP_ROWS
            steps = min(AUTO_EPOCH_STEPS, most)
            wanted = min(max(rows / steps, low), high) / together
            batch = 2 ** max(0, round(math.log2(wanted)))
        else:
            batch = int(self.batch_size)
        if self.epochs == "auto":
            steps = max(1, math.ceil(rows / (batch * together)))
            floor = min(AUTO_STEPS, AUTO_EPOCHS * most)
            epochs = min(max(AUTO_EPOCHS, math.ceil(floor / steps)), AUTO_MOST_EPOCHS)
        else:
            epochs = int(self.epochs)
        least = self.min_epochs
        if least == "auto":
            least = 1 if self.learning_rate_schedule == "constant" else AUTO_EPOCHS
        return self.model_copy(update={"batch_size": batch, "epochs": epochs, "min_epochs": least})

    def shared_multiplier(self, domains: int) -> float:
        """The number that `shared_lr_scale` stands for with so many domains."""
        return 1.0 / domains if self.shared_lr_scale == "1/D" else float(self.shared_lr_scale)
