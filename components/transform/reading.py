"""Raw examples as dense tensors, and a graph over them: what the passes of Transform do with a file of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from components.dataset.names import BEHAVIOUR_PREFIX
from components.errors import InputError
from components.example_bytes import list_values
from components.example_files import read_batches
from components.transform.columns import MISSING, Raw
from components.transform.transform_plan import TransformPlan


def used_columns(plan: TransformPlan) -> tuple[str, ...]:
    """The columns of raw examples that Transform reads, sorted.

    >>> from components.dataset.loader import load_declaration
    >>> from components.transform.transform_plan import make_plan
    >>> used_columns(make_plan(load_declaration("simulated")))[:3]
    ('activity', 'age_band', 'age_days')
    """
    names = {source.column for source in plan.sources}
    names |= {name for name, _ in (*plan.quantiles, *plan.numeric)}
    return tuple(sorted(names | {plan.time, plan.label} | {BEHAVIOUR_PREFIX + b for b in plan.behaviours}))


class RawGraph:
    """A graph over batches of raw columns.

    Args:
      plan: says which columns are lists.
      dtypes: of the columns that are read, by name.
      compute: tensors from the columns: dense (n,) where a row has one value at most, the others sparse.
    """

    def __init__(
        self,
        plan: TransformPlan,
        dtypes: Mapping[str, tf.DType],
        compute: Callable[[Mapping[str, Raw]], Any],
    ) -> None:
        self._dtypes = dict(dtypes)
        self._lists = {source.column for source in plan.sources if source.is_list} & set(dtypes)
        spec = {
            name: tf.SparseTensorSpec([None, None], dtype)
            if name in self._lists
            else tf.TensorSpec([None], dtype)
            for name, dtype in dtypes.items()
        }
        self._graph = tf.function(compute, input_signature=[spec], autograph=False)

    def over(self, path: str) -> Iterator[Any]:
        """What the graph makes of the rows of a file, a batch at a time.

        Raises:
          InputError: a column holds other values than the schema says, or several where one was declared.
        """
        for batch in read_batches(path, sorted(self._dtypes)):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            yield self._graph(
                {
                    name: self._tensor(name, dtype, columns.get(name), batch.num_rows)
                    for name, dtype in self._dtypes.items()
                }
            )

    def _tensor(self, name: str, dtype: tf.DType, column: pa.Array | None, rows: int) -> Raw:
        if column is None or pa.types.is_null(column.type) or pa.types.is_null(column.type.value_type):
            offsets, values = np.zeros(rows + 1, np.int64), np.zeros(0, dtype.as_numpy_dtype)
        else:
            flat, offsets = list_values(column)
            values = flat.to_numpy(zero_copy_only=False)
        if tf.as_dtype(values.dtype if values.dtype != object else np.dtype(np.str_)) != dtype:
            raise InputError(
                f"{name}: the examples hold {values.dtype}, the schema (.pbtxt) says {dtype.name}"
            )
        counts = np.diff(offsets)
        if name in self._lists:
            row = np.repeat(np.arange(rows), counts)
            place = np.arange(len(values)) - offsets[row]
            return tf.SparseTensor(np.stack([row, place], axis=1), values, [rows, max(counts, default=0)])
        if (counts > 1).any():
            raise InputError(f"{name}: a row has {counts.max()} values; a list is declared with `separator`")
        if len(values) == rows:
            return tf.constant(values, dtype)
        dense = np.full(rows, MISSING[dtype], object if dtype == tf.string else dtype.as_numpy_dtype)
        dense[counts > 0] = values
        return tf.constant(dense, dtype)
