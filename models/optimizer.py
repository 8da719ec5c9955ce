"""One optimiser, two learning rates: shared and domain-specific variables, lazily where gradients are sparse.

Rates are given as `(regex, multiplier)` pairs over variable names. Every trainable variable must match
exactly one, so that a renamed layer is an error and not a layer that trains at another rate.

**The paper's rule.** Under the cyclic schedule a round is `D` steps, one for each domain. A specific
parameter moves once in it, a shared one `D` times, so the shared ones train at `lr / D` (`shared_lr_scale:
1/D`).

**What it means in a fused round.** One step takes `G` mini-batches and its loss is the sum over them of
their mean losses: a specific slice gets the gradient of its own domain's mean loss, as in the cyclic round.
The shared part's gradient is divided by `G`: with plain SGD, one step at `lr` on the mean of `G` gradients
is to first order `G` steps at `lr / G`. So the rule is already in the mean, and `shared_lr_scale` is 1
there; `1/D` would apply it twice. Under Adam neither holds exactly: Adam's step does not depend on the scale
of the gradient, so `1/D` in a cyclic round leaves the shared part moving about as far as one step at `lr`,
and so does the mean in a fused one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from models.arrays import Array
from models.learning_rate import LearningRateSchedule, rate_factor
from models.replicas import own_copy
from models.segment_sum import distinct


class _Slots(NamedTuple):
    mean: tf.Variable
    square: tf.Variable
    steps: tf.Variable


def variable_name(variable: tf.Variable) -> str:
    """The name that patterns are matched against: without the output number at its end."""
    return str(variable.name).rpartition(":")[0] or str(variable.name)


def assign_multipliers(names: Sequence[str], pairs: Sequence[tuple[str, float]]) -> list[float]:
    """The multiplier of every name, from the one pattern that `re.search` finds in it.

    Args:
        names: variable names.
        pairs: `(regex, multiplier)`.

    Raises:
        ValueError: if a name matches no pattern or several; the message lists all such names.
    """
    found = [[multiplier for pattern, multiplier in pairs if re.search(pattern, name)] for name in names]
    leftovers = [name for name, multipliers in zip(names, found, strict=True) if not multipliers]
    doubles = [name for name, multipliers in zip(names, found, strict=True) if len(multipliers) > 1]
    if leftovers or doubles:
        parts = [f"no pattern matches {leftovers}"] if leftovers else []
        parts += [f"several patterns match {doubles}"] if doubles else []
        raise ValueError(f"learning rates: {'; '.join(parts)}. Patterns: {[pattern for pattern, _ in pairs]}")
    return [multipliers[0] for multipliers in found]


class TwoRateOptimizer(tf.Module):
    """Adam or SGD with a rate per variable; sparse gradients touch only the slices they name.

    Dense gradients follow Adam as Keras has it,

        m <- b1 m + (1 - b1) g,   s <- b2 s + (1 - b2) g^2,
        w <- w - lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(s) + eps).

    A sparse gradient (embedding rows, the kernels of the domains in the step) is summed over repeated
    indices, and then each named slice makes that step by itself, with `t` the number of its own steps: it
    moves as if it had an Adam of its own, as each domain has in the paper. Slices that are not named, and
    their slots, stay as they are. The cost depends on the number of named slices, not on D or on the
    vocabulary.

    Args:
        variables: all trainable variables of the model.
        pairs: `(regex, multiplier)`, see `assign_multipliers`.
        learning_rate: that a multiplier of 1 stands for.
        rule: "adam" or "sgd".
        beta_1: b1.
        beta_2: b2.
        epsilon: eps.
        learning_rate_schedule: how the rate moves over `horizon` steps (`models.learning_rate`).
        warmup: share of the steps in which it grows first.

    Raises:
        ValueError: if the patterns do not cover every variable exactly once, or the rule is unknown.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        pairs: Sequence[tuple[str, float]],
        learning_rate: float = 1e-3,
        rule: str = "adam",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        learning_rate_schedule: LearningRateSchedule = "constant",
        warmup: float = 0.0,
    ) -> None:
        super().__init__(name="two_rate_optimizer")
        if rule not in ("adam", "sgd"):
            raise ValueError(f"rule must be 'adam' or 'sgd', got {rule!r}")
        self._names = [variable_name(variable) for variable in variables]
        self._multipliers = assign_multipliers(self._names, pairs)
        self._variables = list(variables)
        self._rule = rule
        self._schedule, self._warmup = learning_rate_schedule, warmup
        self._beta_1, self._beta_2, self._epsilon = beta_1, beta_2, epsilon
        self.learning_rate = tf.Variable(
            learning_rate, trainable=False, name="learning_rate", dtype=tf.float32
        )
        self.iterations = tf.Variable(0, trainable=False, name="iterations", dtype=tf.int64)
        self.horizon = tf.Variable(1, trainable=False, name="horizon", dtype=tf.int64)
        self.earlier = tf.Variable(0, trainable=False, name="earlier", dtype=tf.int64)
        self._slots = [self._make_slots(variable) for variable in variables] if rule == "adam" else []

    @staticmethod
    def _make_slots(variable: tf.Variable) -> _Slots:
        name = variable_name(variable)
        rows = variable.shape[0] if variable.shape.rank else 1
        return _Slots(
            mean=tf.Variable(tf.zeros_like(variable), trainable=False, name=f"{name}/mean"),
            square=tf.Variable(tf.zeros_like(variable), trainable=False, name=f"{name}/square"),
            steps=tf.Variable(tf.zeros([rows]), trainable=False, name=f"{name}/steps"),
        )

    def multipliers(self) -> dict[str, float]:
        """Multiplier of every variable, by name."""
        return dict(zip(self._names, self._multipliers, strict=True))

    def values_of(self, pairs: Sequence[tuple[str, float]]) -> list[float]:
        """A number for every variable, in their order, from `(regex, number)` pairs that cover each once."""
        return assign_multipliers(self._names, pairs)

    def plan(self, steps: int) -> None:
        """Says how many steps the training has, for the course of the rate."""
        self.horizon.assign(steps)

    def rate(self) -> tf.Tensor:
        """The learning rate of the step that `iterations` counts, for a multiplier of 1."""
        return self.learning_rate * rate_factor(self.iterations, self.horizon, self._schedule, self._warmup)

    def steps_made(self) -> int:
        """Steps made, those of the trainings that this one went on from included."""
        return int(self.iterations.numpy() + self.earlier.numpy())

    def slots(self) -> dict[str, dict[str, Array]]:
        """Adam's slots by `mean`, `square` and `steps`, then by variable name; none under SGD."""
        if not self._slots:
            return {}
        return {
            slot: {
                name: getattr(slots, slot).numpy()
                for name, slots in zip(self._names, self._slots, strict=True)
            }
            for slot in _Slots._fields
        }

    def continue_from(self, steps: int, slots: Mapping[str, Mapping[str, Array]]) -> None:
        """Takes over an earlier training's slots; the course of the learning rate starts anew.

        Args:
            steps: that were made before, for Adam's correction of its first steps.
            slots: as `slots` gives them; variables that are left out keep theirs.
        """
        self.iterations.assign(0)
        self.earlier.assign(steps)
        for slot, by_name in slots.items():
            for name, own in zip(self._names, self._slots, strict=True):
                if name in by_name:
                    getattr(own, slot).assign(by_name[name])

    def reset(self) -> None:
        """Forgets all steps made, as if newly built."""
        self.iterations.assign(0)
        self.earlier.assign(0)
        for slots in self._slots:
            for slot in slots:
                slot.assign(tf.zeros_like(slot))

    def apply(
        self,
        gradients: Sequence[tf.Tensor | tf.IndexedSlices | None],
        scales: Sequence[float | tf.Tensor] | None = None,
    ) -> None:
        """Makes one step.

        Args:
            gradients: in the order of the variables; None leaves a variable alone.
            scales: what each gradient is multiplied with first; all 1 if absent.

        Raises:
            ValueError: if there are more or fewer gradients than variables.
        """
        if len(gradients) != len(self._variables):
            raise ValueError(f"{len(gradients)} gradients for {len(self._variables)} variables")
        own_copy(self.iterations).assign_add(1)
        scales = [1.0] * len(gradients) if scales is None else scales
        base_rate = self.rate()
        for i, (gradient, scale) in enumerate(zip(gradients, scales, strict=True)):
            if gradient is None:
                continue
            rate = base_rate * self._multipliers[i]
            if isinstance(gradient, tf.IndexedSlices):
                self._apply_sparse(i, distinct(gradient), scale, rate)
            else:
                self._apply_dense(
                    i, gradient * scale if tf.is_tensor(scale) or scale != 1 else gradient, rate
                )

    def _own_slots(self, i: int) -> _Slots:
        return _Slots(*(own_copy(slot) for slot in self._slots[i]))

    def _apply_dense(self, i: int, gradient: tf.Tensor, rate: tf.Tensor) -> None:
        variable = own_copy(self._variables[i])
        if self._rule == "sgd":
            variable.assign_sub(rate * gradient)
            return
        slots = self._own_slots(i)
        step = tf.cast(self.iterations + self.earlier, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=slots.mean.handle,
            v=slots.square.handle,
            beta1_power=tf.pow(self._beta_1, step),
            beta2_power=tf.pow(self._beta_2, step),
            lr=rate,
            beta1=self._beta_1,
            beta2=self._beta_2,
            epsilon=self._epsilon,
            grad=gradient,
        )

    def _apply_sparse(
        self, i: int, gradient: tf.IndexedSlices, scale: float | tf.Tensor, rate: tf.Tensor
    ) -> None:
        variable, values, indices = own_copy(self._variables[i]), gradient.values, gradient.indices
        if self._rule == "sgd":
            _subtract(variable, rate * scale * values, indices)
            return
        slots = self._own_slots(i)
        mean = tf.gather(slots.mean, indices) * self._beta_1 + values * ((1 - self._beta_1) * scale)
        square = tf.gather(slots.square, indices) * self._beta_2 + tf.square(values) * (
            (1 - self._beta_2) * scale**2
        )
        step = tf.gather(slots.steps, indices) + 1.0
        rates = rate * tf.sqrt(1.0 - tf.pow(self._beta_2, step)) / (1.0 - tf.pow(self._beta_1, step))
        rates = tf.reshape(rates, [-1] + [1] * (values.shape.rank - 1))
        slots.mean.scatter_update(tf.IndexedSlices(mean, indices))
        slots.square.scatter_update(tf.IndexedSlices(square, indices))
        slots.steps.scatter_update(tf.IndexedSlices(step, indices))
        _subtract(variable, rates * mean / (tf.sqrt(square) + self._epsilon), indices)


def _subtract(variable: tf.Variable, step: tf.Tensor, indices: tf.Tensor) -> None:
    # As `scatter_sub`, bit for bit where no index is named twice; TensorFlow 2.21's takes four times as long as 2.16's.
    variable.scatter_update(tf.IndexedSlices(tf.gather(variable, indices) - step, indices))
