"""What every model is: logits for groups of rows, each group of one domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models import click_rate
from models.arrays import Array
from models.features import FeatureLayout
from models.options import Option
from models.settings import ModelSettings

Rows = Mapping[str, tf.Tensor]
GroupedBatch = tuple[Rows, tf.Tensor, tf.Tensor]

SPECIFIC = r"(^|/)specific_(?!.*/base_(kernel|bias)$)"
SHARED = r"^(?!(.*/)?specific_(?!.*/base_(kernel|bias)$))"


class DomainModel(keras.Model):
    """Base of all models: a grouped forward pass, and which variables learn at which rate.

    A batch is `(rows, domains, weights)`: rows are tensors `(G, B, ...)` as `models.features` names them,
    `domains` int32 `(G,)` gives each group's one domain, `weights` float32 `(G, B)` is 1 for a row and 0 for
    padding. The same domain may occur in several groups. Padding rows get logits too; nobody reads them.
    This is the only forward path: training, evaluation and serving (`models.dispatch`) share it.

    A subclass creates its layers in `__init__` and writes `call`. Layers that hold a domain's own parameters,
    stacked over domains, have names that begin with `specific_`; all others are shared. A model for which
    that is not so overrides `learning_rate_roles`.

    Args:
        layout: what a row has.
        settings: sizes and switches.
        name: of the Keras model; its settings' name if absent.

    Attributes:
        OPTIONS: what the model asks for in `settings.options`, by name; any other is refused.
    """

    OPTIONS: ClassVar[Mapping[str, Option]] = {}

    def __init__(self, layout: FeatureLayout, settings: ModelSettings, name: str | None = None) -> None:
        super().__init__(name=name or settings.name)
        self.layout = layout
        self.settings = settings
        self.click_logit = self.add_weight(
            name="specific_click_logit", shape=(layout.domain_count,), initializer="zeros", trainable=False
        )

    def option(self, name: str) -> Any:
        """The value of one of `OPTIONS`.

        Raises:
            ValueError: if the settings give it another type than its default's, or a value out of its bounds.
        """
        return self.OPTIONS[name].read(name, self.settings.options)

    @property
    def domain_count(self) -> int:
        """D, the number of domains."""
        return self.layout.domain_count

    @tf.autograph.experimental.do_not_convert
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Nothing in a forward pass needs AutoGraph, whose source rewriting takes longer than all the rest of
        # building the graph.
        return self.from_click_rate(super().__call__(*args, **kwargs), args[0][1])

    def from_click_rate(self, logits: tf.Tensor, domains: tf.Tensor) -> tf.Tensor:
        """Logits `(G, B)` counted from the domains' click rates: what `call` returns is the distance to them."""
        return logits + self._click_logits(domains)[:, None]

    def _click_logits(self, domains: tf.Tensor) -> tf.Tensor:
        own = tf.convert_to_tensor(self.click_logit)
        if not self.serves_unknown:
            return tf.gather(own, domains)
        # The rates are shrunk (`models.click_rate`): their mean is what a domain without rows starts at.
        rate = tf.reduce_mean(tf.sigmoid(own))
        common = tf.math.log(rate) - tf.math.log1p(-rate)
        return tf.gather(tf.concat([own, common[None]], 0), domains)

    @property
    def serves_unknown(self) -> bool:
        """Whether inference takes D as the index of a domain that training did not know.

        Any other model is asked for such rows as its largest domains (`models.unknown_domain`).
        """
        return False

    @property
    def knows_domain(self) -> bool:
        """Whether the same row may get another prediction in another domain."""
        return True

    def start_at(self, domain: Array, label: Array) -> None:
        """Lets predictions start at the domains' click rates in some rows (`models.click_rate`).

        Output layers start at zero, so the untrained model predicts these rates, and its mean over the rows is theirs.
        A domain that has a rate already, as in a model that is trained further, keeps it.

        Args:
            domain: `(n,)` domain index of each row.
            label: `(n,)` 0 or 1.
        """
        if not self.knows_domain:
            domain = np.zeros_like(domain)
        rows = np.bincount(domain, minlength=self.domain_count)
        clicks = np.bincount(domain, label, self.domain_count)
        logit = click_rate.logit(click_rate.shrunk_rates(rows, clicks))
        if not self.knows_domain:
            logit = np.full_like(logit, logit[0])
        held = self.click_logit.numpy()
        self.click_logit.assign(np.where(held == 0, logit, held).astype(np.float32))

    def call(self, inputs: GroupedBatch, training: bool = False) -> tf.Tensor:
        """Logits `(G, B)` of a click, less the domain's `click_logit`, which calling the model adds.

        The output layer's kernel starts at zero: the untrained model is the domain's click rate.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward pass")

    @property
    def row_by_row(self) -> bool:
        """Whether inference takes each row as a group: where a domain has few weights of its own."""
        return False

    def row_stage(self, rows: Rows, domain: tf.Tensor) -> Rows:
        """What inference computes for rows of mixed domains before those of a domain have to be brought together.

        Bringing them together pads, and takes turns: what all domains share is better computed before. The default
        is to compute nothing, and leave all to `group_stage`.

        Args:
            rows: tensors `(N, ...)`.
            domain: `(N,)`.

        Returns:
            Tensors `(N, ...)`, which `group_stage` gets `(G, B, ...)`.
        """
        return rows

    def group_stage(self, inputs: GroupedBatch) -> tf.Tensor:
        """Logits `(G, B)` of what `row_stage` gave, in groups of one domain; without training."""
        return self(inputs, training=False)

    def learning_rate_roles(self) -> list[tuple[str, str]]:
        """`(regex, role)` pairs, role "shared" or "specific"; every trainable variable's name matches one."""
        return [(SPECIFIC, "specific"), (SHARED, "shared")]

    @property
    def explains(self) -> bool:
        """Whether `explain` gives weights over domains."""
        return type(self).explain is not DomainModel.explain

    def explain(self, inputs: GroupedBatch) -> tf.Tensor:
        """Weights `(G, B, D)` that a prediction gives to every domain, where the model has such a thing."""
        raise NotImplementedError(f"model {self.name!r} has no weights over domains to explain with")

    @property
    def tells_resemblance(self) -> bool:
        """Whether `resemblance` says anything."""
        return False

    def resemblance(self, inputs: GroupedBatch) -> tf.Tensor:
        """Shares `(G, B, D)` of all domains' features in what stands for the feature of each row's own domain."""
        raise NotImplementedError(f"model {self.name!r} has no features of domains")

    def ensure_built(self) -> None:
        """Creates all variables, by one pass over a single row of zeros."""
        rows = {
            key: tf.zeros((1, 1, *shape), tf.int64 if key == "categorical" else tf.float32)
            for key, shape in self.layout.row_shapes().items()
        }
        self((rows, tf.zeros((1,), tf.int32), tf.ones((1, 1), tf.float32)), training=False)
