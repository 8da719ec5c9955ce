"""A SavedModel that can be called: loaded as TensorFlow Serving loads it, into a session.

A session takes and gives NumPy arrays without going through eager tensors, which costs a third of what a call of
the restored `tf.function` does for a single row, and it loads several times faster.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from components.dataset.input_names import SEVERAL_VALUES
from components.version_notes import read_domains, read_notes
from models.arrays import Array
from pipeline.client import tensors
from pipeline.serving.errors import Code, RequestError, invalid

MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output of a signature.

    Attributes:
      name: as callers know it.
      tensor: in the graph.
      dtype: the data type's number.
      shape: sizes, -1 for any; `None` where even the rank is open.
    """

    name: str
    tensor: str
    dtype: int
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        sizes = (
            "?" if self.shape is None else ", ".join("n" if size < 0 else str(size) for size in self.shape)
        )
        return f"{tensors.dtype_name(self.dtype)} [{sizes}]"

    def accepts(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            wanted in (-1, size) for wanted, size in zip(self.shape, shape, strict=True)
        )


@dataclasses.dataclass(frozen=True)
class ServedSignature:
    """A signature: inputs and outputs in a fixed order, and the values of inputs that callers may leave out."""

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    defaults: Mapping[str, Array] = dataclasses.field(default_factory=dict)

    def complete(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The inputs, and the defaults of those that were left out."""
        return {**self.defaults, **inputs}

    def predictions(self, shapes: Mapping[str, Sequence[int]]) -> int:
        """How many predictions a request asks for: its rows, times the domains and the candidates of a ranking.

        In exported models the domain is the one input that has no default, and in `rank` every domain meets every
        candidate. Of other models this is the size of what was sent.

        Args:
          shapes: of the inputs that were sent.
        """
        rows, inner, own = 0, {True: 1, False: 1}, 0
        for name, shape in shapes.items():
            rows = max(rows, shape[0] if shape else 1)
            given = name in self.defaults
            inner[given] = max(inner[given], math.prod(shape[1:]))
            own = max(own, math.prod(shape))
        return max(rows * inner[True] * inner[False], own)

    def check(self, inputs: Mapping[str, Array]) -> None:
        """Checks that the inputs are all there and fit.

        Raises:
          RequestError: INVALID_ARGUMENT, naming the input.
        """
        names = {port.name for port in self.inputs}
        if self.complete(inputs).keys() != names:
            missing = sorted(names - inputs.keys() - self.defaults.keys())
            extra = sorted(inputs.keys() - names)
            raise invalid(
                f"the inputs do not match signature {self.name!r}. "
                f"Missing: {', '.join(missing) or 'none'}. Not an input: {', '.join(extra) or 'none'}."
            )
        for port in self.inputs:
            if port.name not in inputs:
                continue
            array = inputs[port.name]
            if tensors.DTYPES.get(port.dtype) != array.dtype or not port.accepts(array.shape):
                code = tensors.type_code(array)
                several = array.dtype == np.object_ and len(array.shape) == len(port.shape or ()) + 1
                hint = f"; {SEVERAL_VALUES}" if several else ""
                raise invalid(
                    f"input {port.name!r} must be {port}, "
                    f"got {tensors.dtype_name(code)} [{', '.join(map(str, array.shape))}]{hint}"
                )


class LoadedModel:
    """A version of a model in memory.

    Args:
      path: the version's directory.
      threads: of the session, within and between operations; 0 for one per core.

    Attributes:
      domains: the input of the domain, and the values that were in training; `None` where that was not noted.
      notes: what a caller has to know beside the signatures (`read_notes`).

    Raises:
      OSError, ValueError, tf.errors.OpError: it is not a SavedModel, or not a whole one.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.closed = False
        noted = read_domains(path)
        self.domains = None if noted is None else (noted[0], frozenset(noted[1]))
        self.notes: Mapping[str, Any] = read_notes(path)
        self._graph = tf.Graph()
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        )
        # The exported functions are optimised when they are first called. To optimise the graph around them as well
        # takes seconds for every signature, and calls come out no faster.
        config.graph_options.rewrite_options.disable_meta_optimizer = True
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        try:
            with self._graph.as_default():
                self.meta_graph: meta_graph_pb2.MetaGraphDef = tf.compat.v1.saved_model.load(
                    self._session, [tf.saved_model.SERVING], str(path)
                )
            self._graph.finalize()
            self.signatures = {
                name: ServedSignature(
                    name,
                    _ports(signature.inputs),
                    _ports(signature.outputs),
                    {key: tensors.to_array(value) for key, value in signature.defaults.items()},
                )
                for name, signature in self.meta_graph.signature_def.items()
                if signature.outputs and signature.inputs
            }
            self._calls = {name: self._callable(signature) for name, signature in self.signatures.items()}
        except BaseException:
            self._session.close()
            raise
        # The graph itself is in the session; a copy of its definition would only take memory.
        self.meta_graph.ClearField("graph_def")
        self.meta_graph.ClearField("object_graph_def")

    def _callable(self, signature: ServedSignature) -> Any:
        options = config_pb2.CallableOptions()
        options.feed.extend(port.tensor for port in signature.inputs)
        options.fetch.extend(port.tensor for port in signature.outputs)
        # What `Session.run` does on top of this, feed by feed, takes longer than the model does for one row.
        # Keras' own graph functions are built on it too.
        return self._session._make_callable_from_options(options)

    def signature(self, name: str) -> ServedSignature:
        """The signature of that name; `serving_default` where it is empty.

        Raises:
          RequestError: FAILED_PRECONDITION, as TensorFlow Serving answers.
        """
        found = self.signatures.get(name or tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY)
        if found is None:
            raise RequestError(
                Code.FAILED_PRECONDITION,
                f'Serving signature key "{name}" not found. There are: {", ".join(sorted(self.signatures))}.',
            )
        return found

    def run(self, signature: ServedSignature, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Computes a signature's outputs.

        Args:
          signature: of this model.
          inputs: all of them, as `ServedSignature.check` demands.

        Raises:
          RequestError: the computation failed, with TensorFlow's code and message.
        """
        try:
            outputs = self._calls[signature.name](*[inputs[port.name] for port in signature.inputs])
        except tf.errors.OpError as error:
            raise RequestError(Code(error.error_code), short_message(error)) from error
        except (TypeError, ValueError) as error:
            raise invalid(f"the inputs cannot be turned into tensors: {error}") from error
        return {port.name: np.asarray(array) for port, array in zip(signature.outputs, outputs, strict=True)}

    def close(self) -> None:
        """Frees the session. Nothing may be running."""
        self.closed = True
        self._calls.clear()
        self._session.close()


def short_message(error: tf.errors.OpError) -> str:
    """The first lines of TensorFlow's message, without the trace through the graph."""
    text = re.sub(r"\{\{function_node [^}]*\}\} ", "", str(error.message))
    return text.split("\n\t [[")[0].split("\n\nOriginal stack trace")[0].split("\nStack trace")[0].strip()


def _ports(infos: Mapping[str, meta_graph_pb2.TensorInfo]) -> tuple[Port, ...]:
    return tuple(
        Port(
            name,
            info.name,
            info.dtype,
            None if info.tensor_shape.unknown_rank else tuple(dim.size for dim in info.tensor_shape.dim),
        )
        for name, info in sorted(infos.items())
    )
