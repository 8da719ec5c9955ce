"""The rows that models are evaluated on: what a served model makes of raw examples, and who saw them where.

A model is evaluated by what it would answer to a caller. So the evaluation rows do not come from Transform's output but
from the raw examples, through the Transform graph as in serving: without their time, which stands for "now".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from components.dataset.declaration import Declaration
from components.dataset.names import LOCAL_TIME
from components.trainer import row_store
from components.trainer.export import unpack
from components.trainer.raw_inputs import RawInputs
from models.arrays import Array
from models.features import FeatureLayout

DAY_MS = 86_400_000
_BATCH = 4096
_USERS = "user.npy"
_DOMAINS = "domain_value.npy"


@dataclasses.dataclass(frozen=True)
class EvaluatedRows:
    """Evaluation rows in the order of their scores.

    Attributes:
      store: their model inputs and labels.
      domain: the domain's value as text, (rows,).
      user: who saw it, as text, (rows,); a text of the row's own where it has no user, the row's number where the data
        set names none.
    """

    store: row_store.RowStore
    domain: Array
    user: Array


def write_evaluated(
    files: Sequence[str],
    declaration: Declaration,
    transform_graph: str,
    layout: FeatureLayout,
    directory: Path,
) -> int:
    """Transforms raw examples as serving does, and writes them with their domains and users.

    Args:
      files: gzip-compressed TFRecords of raw `tf.Example`s.
      declaration: the data set.
      transform_graph: the Transform graph's folder.
      layout: what the packed columns hold.
      directory: where they go.

    Returns:
      The number of rows.
    """
    domains: list[Array] = []
    users: list[Array] = []
    batches = _batches(files, declaration, transform_graph, layout, domains, users)
    total = row_store.write(batches, layout, directory)
    np.save(directory / _DOMAINS, np.concatenate([*domains, np.zeros(0, "U1")]))
    user = np.concatenate(users) if users else np.arange(total).astype(str)
    np.save(directory / _USERS, user)
    return total


def read_evaluated(directory: Path, layout: FeatureLayout) -> EvaluatedRows:
    """The rows that `write_evaluated` left."""
    return EvaluatedRows(
        row_store.open_rows(directory, layout),
        np.load(directory / _DOMAINS),
        np.load(directory / _USERS),
    )


def _batches(
    files: Sequence[str],
    declaration: Declaration,
    transform_graph: str,
    layout: FeatureLayout,
    domains: list[Array],
    users: list[Array],
) -> Iterator[dict[str, Any]]:
    transform_output = tft.TFTransformOutput(transform_graph)
    layer = transform_output.transform_features_layer()
    inputs = RawInputs(declaration, transform_output.raw_feature_spec())

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def transform(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        packed = layer(inputs.from_examples(serialized))
        return {**unpack(packed, layout), "domain": tf.reshape(packed["domain"], [-1])}

    read = _reader(declaration)
    dataset = tf.data.TFRecordDataset(sorted(files), compression_type="GZIP").batch(_BATCH)
    for serialized in dataset:
        raw = {name: column.numpy() for name, column in read(serialized).items()}
        domains.append(_text(raw[declaration.domain]))
        if declaration.user is not None:
            users.append(users_of(raw[declaration.user], raw[LOCAL_TIME], sum(map(len, domains[:-1]))))
        rows = {name: column.numpy() for name, column in transform(serialized).items()}
        yield {**rows, "label": raw[declaration.label], "day": raw[LOCAL_TIME] // DAY_MS}


def users_of(user: Array, time: Array, first: int) -> Array:
    """Users as texts (rows,). Rows without one (-1 or an empty text) are not all of one user: each is its own.

    Args:
      user: as read, integers or bytes (rows,).
      time: local time of each row in ms (rows,): another period's rows have other times.
      first: the number of the first of these rows.
    """
    missing = np.flatnonzero(user == (b"" if user.dtype == object else -1))
    if not len(missing):
        return _text(user)
    names = _text(user).astype(object)
    names[missing] = [f"\x1f{time[row]} {first + row}" for row in missing]
    return names.astype(str)


def _reader(declaration: Declaration) -> Any:
    """Parses what is needed beside the model's inputs: label, time, domain and user."""
    types = {"int": (tf.int64, -1), "string": (tf.string, ""), "float": (tf.float32, 0.0)}
    names = [declaration.label, LOCAL_TIME, declaration.domain, declaration.user]
    columns = declaration.example_columns()
    spec = {
        name: tf.io.FixedLenFeature([], types[columns[name]][0], types[columns[name]][1])
        for name in names
        if name is not None
    }
    return lambda serialized: tf.io.parse_example(serialized, spec)


def _text(values: Array) -> Array:
    if values.dtype == object:
        return np.array([value.decode("utf-8", "replace") for value in values], str)
    return values.astype(str)
