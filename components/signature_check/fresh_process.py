"""Calls every signature of a SavedModel in a process that has nothing but TensorFlow.

Run as a script: `python fresh_process.py MODEL_DIR REQUESTS.npz REPORT.json`. It imports nothing of this project that
a model could need, and no Keras, so that a model which needs their code to load does not pass.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.arrays import Array

if __name__ == "__main__":
    # It ends before there is much to collect.
    gc.disable()
    # TensorFlow does without these, and half of its import is theirs.
    for _name in ("keras", "tf_keras", "pandas", "scipy", "h5py", "googleapiclient", "PIL"):
        sys.modules[_name] = None  # type: ignore[assignment]
    # By its path: the project is not on this process's.
    _spec = importlib.util.spec_from_file_location("on_demand", Path(__file__).parents[1] / "on_demand.py")
    if _spec is not None and _spec.loader is not None:
        _on_demand = importlib.util.module_from_spec(_spec)
        _spec.loader.exec_module(_on_demand)
        _on_demand.import_on_demand(_on_demand.tensorflow_api())

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

OUTPUT = "click_probability"
TOLERANCE = 1e-5


class Checks:
    """Collects what was checked and how it came out."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []

    def expect(self, name: str, passed: Any, detail: Any) -> None:
        """Notes the outcome of one check."""
        self.results.append({"check": name, "passed": bool(passed), "detail": detail})

    def probabilities(self, name: str, scores: Array, rows: int) -> None:
        """Expects one probability per row."""
        sound = (
            scores.shape == (rows,)
            and np.isfinite(scores).all()
            and (scores >= 0).all()
            and (scores <= 1).all()
        )
        self.expect(name, sound, f"shape {scores.shape}, expected ({rows},), all finite and in [0, 1]")

    def equal(self, name: str, scores: Array, expected: Array) -> None:
        """Expects the same scores."""
        difference = (
            float(np.max(np.abs(scores - expected))) if scores.shape == expected.shape else float("inf")
        )
        self.expect(
            name, difference <= TOLERANCE, f"largest difference {difference:.2e}, allowed {TOLERANCE:.0e}"
        )


def read_requests(path: str) -> dict[str, Array]:
    """The arrays of the file by name; `text.` and `length.` of a name are one array of bytes."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = dict(archive)
    for name in [name for name in arrays if name.startswith("text.")]:
        joined, key = arrays.pop(name).tobytes(), name.removeprefix("text.")
        ends = np.cumsum(arrays.pop(f"length.{key}")).tolist()
        texts = np.empty(len(ends), object)
        texts[:] = [joined[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=False)]
        arrays[key] = texts
    return arrays


def named_tensors(columns: dict[str, Array], specs: dict[str, tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """A named-feature request."""
    return {name: tf.constant(columns[name].tolist(), specs[name].dtype) for name in specs}


def missing(spec: tf.TensorSpec, rows: int) -> tf.Tensor:
    """What stands for no value."""
    value = {tf.int64: -1, tf.float32: float("nan"), tf.string: ""}[spec.dtype]
    return tf.fill([rows], tf.constant(value, spec.dtype))


def unknown(spec: tf.TensorSpec, rows: int) -> tf.Tensor:
    """A value that no training row had."""
    value = {tf.int64: 2**62, tf.float32: 1e30, tf.string: "never seen before"}[spec.dtype]
    return tf.fill([rows], tf.constant(value, spec.dtype))


def inputs_without_default(model_dir: str, signature: str) -> list[str]:
    """Inputs that every request of a signature has to carry."""
    with open(f"{model_dir}/saved_model.pb", "rb") as handle:  # noqa: PTH123
        saved = saved_model_pb2.SavedModel.FromString(handle.read())
    definition = saved.meta_graphs[0].signature_def[signature]
    return sorted(definition.inputs.keys() - definition.defaults.keys())


def rank(signatures: Any, named: dict[str, tf.Tensor], domain: list[str], few: int) -> tuple[Array, Array]:
    """Scores of the first `few` rows as candidates in their own domains, asked as one request and row by row."""
    request = {name: value[None, :few] for name, value in named.items()}
    ranked = signatures["rank"](**request)[OUTPUT].numpy()
    rows = {
        name: tf.repeat(value[:few], few) if name in domain else tf.tile(value[:few], [few])
        for name, value in named.items()
    }
    return ranked, signatures["serving_default"](**rows)[OUTPUT].numpy().reshape(1, few, few)


def check(model_dir: str, requests: dict[str, Array]) -> list[dict[str, Any]]:
    """Runs every check; returns the list of results."""
    checks = Checks()
    # A handful of calls: to optimise the graphs takes longer than all of them, and changes no answer.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    model = tf.saved_model.load(model_dir)
    for signature in ("serving_default", "rank", "examples"):
        checks.expect(f"signature {signature}", signature in model.signatures, sorted(model.signatures))
    required = inputs_without_default(model_dir, "serving_default")
    checks.expect("every input but one may be left out", len(required) == 1, f"without a default: {required}")
    serialized = tf.constant(requests["serialized"].tolist())
    rows = int(serialized.shape[0])
    columns = {key.removeprefix("named."): requests[key] for key in requests if key.startswith("named.")}
    specs = model.signatures["serving_default"].structured_input_signature[1]
    named = named_tensors(columns, specs)

    served = model.signatures["serving_default"](**named)[OUTPUT].numpy()
    checks.probabilities("serving_default answers real rows", served, rows)
    readings = [reading.decode() for reading in requests["readings"]]
    checks.expect(
        "a request's features read as its example's", not readings, "; ".join(readings) or "all alike"
    )
    examples = model.signatures["examples"](examples=serialized)[OUTPUT].numpy()
    checks.equal("examples answers as serving_default", examples, served)

    transformed = {
        key.removeprefix("transformed."): tf.constant(requests[key])
        for key in requests
        if key.startswith("transformed.")
    }
    domain = transformed.pop("domain")
    direct = model.predict_transformed(transformed, domain).numpy()
    checks.equal("Transform, then the model, gives the served answer", direct, served)

    alone = np.concatenate(
        [
            model.signatures["serving_default"](
                **{name: value[row : row + 1] for name, value in named.items()}
            )[OUTPUT].numpy()
            for row in range(min(rows, 16))
        ]
    )
    checks.equal("a row's answer does not depend on its neighbours", alone, served[: len(alone)])

    few = min(rows, 8)
    ranked, expected = rank(model.signatures, named, required, few)
    checks.equal("rank answers as serving_default, for every candidate in every domain", ranked, expected)

    for what, make in (("no value", missing), ("an unknown value", unknown)):
        for column in [*specs, None]:
            request = {
                name: make(spec, few) if column in (name, None) else named[name][:few]
                for name, spec in specs.items()
            }
            scores = model.signatures["serving_default"](**request)[OUTPUT].numpy()
            checks.probabilities(f"{what} in {column or 'every feature'}", scores, few)

    if "explain" in model.signatures:
        weights = model.signatures["explain"](**named)["weights"].numpy()
        sums = weights.sum(axis=1)
        checks.expect(
            "explain gives weights over domains",
            weights.shape[0] == rows and np.allclose(sums, 1, atol=1e-4) and (weights >= 0).all(),
            f"shape {weights.shape}, sums between {sums.min():.4f} and {sums.max():.4f}",
        )
    return checks.results


if __name__ == "__main__":
    model_path, requests_path, report_path = sys.argv[1:]
    report = check(model_path, read_requests(requests_path))
    with open(report_path, "w") as handle:  # noqa: PTH123
        json.dump(report, handle, indent=1, default=str)
