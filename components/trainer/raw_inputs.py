"""Raw features as callers send them, turned into what the Transform graph takes.

A caller sends one flat tensor per feature; `tf.Example`s carry the same features. A missing value is NaN for a
number, the empty string for text and -1 for an integer: the Transform graph then sees no value at all, exactly
as for a log row in which the column was empty, or held -1. The domain, which every row has, may be -1 itself.
Neither label, behaviours nor time are asked for: the graph gets -1 as the time, which stands for "now". Nor are
features that are declared `at_serving`: they have the declared value, in `tf.Example`s too. Every
feature but the domain may be left out of a request.

Where rows to evaluate see averages that are refreshed daily, the tables know the evaluation days' own labels. The
Evaluator's examples are then answered as of the time that they carry; an example without a time is asked now.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from components.dataset.declaration import Declaration
from components.dataset.input_names import LIST_SEPARATOR, input_name
from components.dataset.values import ZERO_FRACTION
from components.trainer.request_bounds import within_bounds

TIME_FEATURE = "local_time_ms"
NOW = -1


def _up_to(largest: int) -> str:
    """A pattern of the numbers from 0 to `largest`, which has no two zeros at its end."""
    digits = str(largest)
    shorter = rf"[0-9]{{1,{len(digits) - 1}}}"
    smaller = [
        rf"{digits[:i]}[0-{int(digit) - 1}][0-9]{{{len(digits) - i - 1}}}"
        for i, digit in enumerate(digits)
        if digit != "0"
    ]
    return "|".join([shorter, *smaller, digits])


# Spaces of any script count as little as they do in logs; TensorFlow's own `strip` knows ASCII's alone.
_SPACES = r"[\t\n\v\f\r\x{85}\pZ]+"
_IN_PARTS = f"(?s).*{LIST_SEPARATOR}.*"
_OUTER_SPACES = f"^{_SPACES}|{_SPACES}$"
_INT64 = rf"\+?0*(?:{_up_to(2**63 - 1)})|-0*(?:{_up_to(2**63)})"
# Exponents of ids have two digits at most; TensorFlow's numbers near the ends of their range differ from a log's.
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?0*[0-9]{1,2})?"
# Longer texts are no number to TensorFlow 2.16.
_LONGEST_NUMBER = 31
_DTYPES = {"int": tf.int64, "float": tf.float32, "string": tf.string}
_MISSING: dict[tf.DType, float | int | str] = {tf.int64: -1, tf.float32: float("nan"), tf.string: ""}


def missing_value(dtype: tf.DType) -> float | int | str:
    """What stands for "no value" in a request: -1, NaN or the empty string."""
    return _MISSING[dtype]


@dataclasses.dataclass(frozen=True)
class RequestFeature:
    """One named input of the serving signature.

    Attributes:
      name: the raw column.
      dtype: int64, float32 or string; a list-valued feature is one string, its values separated by U+001F, or by its
        separator as in the logs.
      is_list: whether it is list-valued.
      separator: what separates the values in the logs' texts; `None` where no text does.
      is_domain: whether it is the domain, the one feature that every request has.
    """

    name: str
    dtype: tf.DType
    is_list: bool = False
    separator: str | None = None
    is_domain: bool = False

    @property
    def input(self) -> str:
        """What it is called in requests."""
        return input_name(self.name)


def request_features(declaration: Declaration) -> list[RequestFeature]:
    """The inputs of the named-feature signature: the declared features, the domain, the user and the item."""
    return [
        RequestFeature(
            name,
            tf.string if declaration.is_list(name) else _DTYPES[column],
            declaration.is_list(name),
            declaration.features[name].separator if name in declaration.features else None,
            name == declaration.domain,
        )
        for name, column in declaration.serving_columns().items()
    ]


class RawInputs:
    """Converts requests into the inputs of the Transform graph.

    Args:
      declaration: the data set.
      raw_spec: the raw feature spec that the Transform graph was built with.
    """

    def __init__(self, declaration: Declaration, raw_spec: Mapping[str, Any]) -> None:
        self.features = request_features(declaration)
        self._types = declaration.serving_columns()
        self._fixed = declaration.at_serving()
        self._spec = {name: raw_spec[name] for name in (*(f.name for f in self.features), *self._fixed)}
        self._time_spec = raw_spec[TIME_FEATURE]
        self._reads_time = declaration.moving_average.eval_state == "daily"

    def specs(self) -> dict[str, tf.TypeSpec]:
        """What the other methods return, for a batch of any size."""
        return {
            name: tf.TensorSpec([None, *spec.shape], spec.dtype)
            if isinstance(spec, tf.io.FixedLenFeature)
            else tf.SparseTensorSpec([None, None], spec.dtype)
            for name, spec in {**self._spec, TIME_FEATURE: self._time_spec}.items()
        }

    def flat_specs(self) -> dict[str, tf.TensorSpec]:
        """What `from_flat` takes."""
        return {feature.name: tf.TensorSpec([None], feature.dtype) for feature in self.features}

    def from_flat(self, flat: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor | tf.SparseTensor]:
        """Tensors (rows,) of every feature to Transform inputs."""
        first = tf.size(flat[self.features[0].name], tf.int64)
        shape = tf.stack([first, tf.constant(1, tf.int64)])
        raw = {feature.name: self._from_flat(feature, flat[feature.name], shape) for feature in self.features}
        raw |= self._as_served(first)
        raw[TIME_FEATURE] = self._now(first)
        return raw

    def from_named(self, named: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor | tf.SparseTensor]:
        """`flat_named`, then `from_flat`."""
        return self.from_flat(self.flat_named(named))

    def flat_named(self, named: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Named tensors (rows,) to flat ones. A tensor of length 1 holds for every row.

        Raises:
          tf.errors.InvalidArgumentError: a tensor has another length; names the input. Or too much is asked for.
        """
        names = [feature.name for feature in self.features]
        rows = _agreed_size(names, tf.stack([tf.size(named[name]) for name in names]), "values")
        shape = within_bounds(rows, named.values())[None]
        return {name: tf.broadcast_to(named[name], shape) for name in names}

    def flat_ranking(self, named: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Named tensors of ranking requests to flat ones: every candidate in every domain is a row.

        Args:
          named: the domain (requests, domains); every other feature (requests, candidates), or (requests, 1) where one
            value holds for all candidates, as the user's do.

        Returns:
          The tensors of requests x domains x candidates rows, and these three numbers.

        Raises:
          tf.errors.InvalidArgumentError: a tensor has another size; names the input. Or too much is asked for.
        """
        [domain] = [feature.name for feature in self.features if feature.is_domain]
        per_item = [feature.name for feature in self.features if not feature.is_domain]
        # The domain last, so that the others' sizes are the first.
        names = [*per_item, domain]
        sizes = tf.stack([tf.shape(named[name]) for name in names])
        requests = _agreed_size(names, sizes[:, 0], "requests")
        items = _agreed_size(per_item, sizes[:-1, 1], "candidates")
        shape = within_bounds(tf.stack([requests, sizes[-1, 1], items]), named.values())
        flat = {}
        every, at_item, at_domain = tf.constant([-1]), tf.constant(1), tf.constant(2)
        for name in names:
            placed = tf.expand_dims(named[name], at_domain if name == domain else at_item)
            flat[name] = tf.reshape(tf.broadcast_to(placed, shape), every)
        return flat, shape

    def from_examples(self, serialized: tf.Tensor) -> dict[str, tf.Tensor | tf.SparseTensor]:
        """Serialized `tf.Example`s, string (rows,), to Transform inputs. Any feature may be absent.

        Raises:
          tf.errors.InvalidArgumentError: there are too many for one request.
        """
        spec = {name: self._lenient(name) for name in self._spec if name not in self._fixed}
        if self._reads_time:
            spec[TIME_FEATURE] = tf.io.FixedLenFeature([], tf.int64, NOW)
        rows = within_bounds(tf.size(serialized), [serialized])
        parsed = tf.io.parse_example(tf.reshape(serialized, [rows]), spec)
        if self._reads_time:
            parsed[TIME_FEATURE] = self._as_declared(parsed[TIME_FEATURE])
        else:
            parsed[TIME_FEATURE] = self._now(rows)
        return {**parsed, **self._as_served(rows)}

    def _from_flat(
        self, feature: RequestFeature, value: tf.Tensor, shape: tf.Tensor
    ) -> tf.Tensor | tf.SparseTensor:
        if feature.is_list:
            if feature.separator is not None:
                # A list that comes as a list ends in U+001F: its values are never split again.
                as_text = tf.strings.regex_replace(value, re.escape(feature.separator), LIST_SEPARATOR)
                value = tf.where(tf.strings.regex_full_match(value, _IN_PARTS), value, as_text)
            parts = tf.strings.regex_replace(tf.strings.split(value, LIST_SEPARATOR), _OUTER_SPACES, "")
            parts = tf.ragged.boolean_mask(parts, tf.not_equal(parts, ""))
            if self._types[feature.name] != "string":
                ints, is_int = _ints(parts.values)
                parts = tf.ragged.boolean_mask(parts.with_values(ints), parts.with_values(is_int))
            return parts.to_sparse()
        spec = self._spec[feature.name]
        if isinstance(spec, tf.io.FixedLenFeature):
            return tf.reshape(value, [-1, *spec.shape])
        if feature.is_domain and feature.dtype == tf.int64:
            present = tf.ones_like(value, tf.bool)
        elif feature.dtype == tf.float32:
            present = tf.logical_not(tf.math.is_nan(value))
        else:
            present = tf.not_equal(value, tf.constant(missing_value(feature.dtype), feature.dtype))
        # Few operations: an export has them for every feature.
        rows = tf.where(present)
        return tf.SparseTensor(tf.pad(rows, [[0, 0], [0, 1]]), tf.gather_nd(value, rows), shape)

    def _lenient(self, name: str) -> object:
        spec = self._spec[name]
        if not isinstance(spec, tf.io.FixedLenFeature):
            return spec
        size = tf.TensorShape(spec.shape).num_elements() or 1
        return tf.io.FixedLenFeature(spec.shape, spec.dtype, [missing_value(spec.dtype)] * size)

    def _as_served(self, rows: tf.Tensor) -> dict[str, tf.Tensor | tf.SparseTensor]:
        """What no request carries: the declared values."""
        return {
            name: _like(self._spec[name], tf.fill([rows], tf.constant(value, self._spec[name].dtype)))
            for name, value in self._fixed.items()
        }

    def _now(self, rows: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
        return self._as_declared(tf.fill([rows], tf.constant(NOW, tf.int64)))

    def _as_declared(self, value: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
        return _like(self._time_spec, value)


def _like(spec: object, value: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
    """A value (rows,) for every row, as a raw feature spec has it; 0 and "" are values."""
    if isinstance(spec, tf.io.FixedLenFeature):
        return tf.reshape(value, [-1, *spec.shape])
    rows = tf.size(value, tf.int64)
    where = tf.stack([tf.range(rows), tf.zeros([rows], tf.int64)], axis=1)
    return tf.SparseTensor(where, value, tf.stack([rows, tf.constant(1, tf.int64)]))


def _ints(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Texts (n,) as logs are read: int64, and where they are ints; `7.0` and `7e0` are 7.

    A text that is no number is a value that no vocabulary has: it must not fail a whole request.
    """
    plain = tf.strings.regex_replace(texts, ZERO_FRACTION, "")
    exact = tf.strings.regex_full_match(plain, _INT64)
    # A number of TensorFlow's has no plus in front: it would fail the request.
    plain = tf.strings.regex_replace(tf.where(exact, plain, "0"), r"^\+", "")
    number = tf.strings.regex_full_match(texts, _NUMBER) & (tf.strings.length(texts) <= _LONGEST_NUMBER)
    numbers = tf.where(number, texts, "nan")
    value = tf.strings.to_number(numbers, tf.float64)
    whole = (value == tf.floor(value)) & (tf.abs(value) < 2.0**63)
    rounded = tf.cast(tf.where(whole, value, 0.0), tf.int64)
    return tf.where(exact, tf.strings.to_number(plain, tf.int64), rounded), exact | whole


def _agreed_size(names: Sequence[str], found: tf.Tensor, what: str) -> tf.Tensor:
    """The size that tensors have which are not of size 1; that one, where all are."""
    size = tf.where(tf.reduce_any(found == 0), 0, tf.reduce_max(found))
    fits = (found == size) | (found == 1)
    wrong = tf.argmin(tf.cast(fits, tf.int32))
    message = tf.strings.join(
        [
            "input ",
            tf.gather(tf.constant(list(names)), wrong),
            " has ",
            tf.strings.as_string(tf.gather(found, wrong)),
            f" {what}, expected 1 or ",
            tf.strings.as_string(size),
        ]
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(fits), [message])]):
        return tf.identity(size)
