"""Evaluations of tiny models through the Evaluator, or through TFX's own."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.evaluator import executor as tfx_executor
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.utils import io_utils, json_utils, proto_utils

from components.dataset.declaration import Declaration
from components.evaluator import executor
from components.evaluator.config import eval_config
from components.evaluator.reading import read_evaluation
from components.evaluator.results import EvaluationResult
from pipeline.beam_runner import beam_args

BEAM = list(beam_args("direct", ["workers=1"]))


def declare(**evaluation: Any) -> Declaration:
    """A data set with the columns click, place, user and score."""
    return Declaration.model_validate(
        {
            "name": "tiny",
            "impressions": {"files": ["a.csv"]},
            "label": "click",
            "domain": "place",
            "user": "user",
            "timestamp": {"column": "time", "unit": "ms"},
            "columns": {"click": "int", "place": "string", "user": "int"},
            "features": {"score": {"type": "float", "treatment": "as_is"}},
            "evaluation": {"min_rows": 100, **evaluation},
        }
    )


@dataclasses.dataclass
class Impressions:
    """Rows to judge: label, place and user (-1: none) of each, and the score a model may echo."""

    label: np.ndarray
    place: np.ndarray
    user: np.ndarray
    score: np.ndarray

    def write(self, directory: Path) -> None:
        """As the split `eval` of examples."""
        split = directory / "Split-eval"
        split.mkdir(parents=True)
        with tf.io.TFRecordWriter(str(split / "data-00000-of-00001.gz"), "GZIP") as writer:
            for label, place, user, score in zip(self.label, self.place, self.user, self.score, strict=True):
                example = tf.train.Example()
                feature = example.features.feature
                feature["click"].int64_list.value.append(int(label))
                feature["place"].bytes_list.value.append(place.encode())
                feature["score"].float_list.value.append(score)
                if user >= 0:
                    feature["user"].int64_list.value.append(int(user))
                writer.write(example.SerializeToString())


def impressions(rows: int = 1500, seed: int = 0) -> Impressions:
    """Three large places, one of 30 rows, one without clicks; scores that are the true probabilities."""
    rng = np.random.default_rng(seed)
    place = rng.choice(["home", "search", "live"], rows, p=[0.6, 0.25, 0.15])
    place[:30] = "tiny"
    place[30:180] = "silent"
    score = rng.beta(1, 2, rows).astype(np.float32)
    label = (rng.random(rows) < score).astype(int)
    label[30:180] = 0
    return Impressions(label, place.astype(object), rng.integers(-1, 60, rows), score)


class _Echo(tf.Module):
    """Predicts a function of the score of an example."""

    def __init__(self, answer: Callable[[tf.Tensor, tf.Tensor], tf.Tensor], score_type: tf.DType) -> None:
        super().__init__()
        self._answer = answer
        self._type = score_type

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(
            examples,
            {
                "score": tf.io.FixedLenFeature([], self._type),
                "place": tf.io.FixedLenFeature([], tf.string),
            },
        )
        return {"click_probability": self._answer(tf.cast(parsed["score"], tf.float32), parsed["place"])}


MODELS: dict[str, tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], tf.DType]] = {
    "good": (lambda score, place: score, tf.float32),
    "reversed": (lambda score, place: 1 - score, tf.float32),
    "worse": (lambda score, place: tf.math.floormod(score * 7.31, 1.0) * 0.4 + score * 0.6, tf.float32),
    "bad where tiny": (lambda score, place: tf.where(place == "tiny", 1 - score, score), tf.float32),
    "bad in search": (lambda score, place: tf.where(place == "search", 1 - score, score), tf.float32),
    "overflowing": (lambda score, place: tf.where(score > 0.9, float("nan"), score), tf.float32),
    "of other types": (lambda score, place: score, tf.int64),
}


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a `Model` artifact, by name."""
    made: dict[str, Path] = {}

    def save(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("model")
            module = _Echo(*MODELS[name])
            tf.saved_model.save(
                module, str(made[name] / "Format-Serving"), signatures={"examples": module.examples}
            )
        return made[name]

    return save


@dataclasses.dataclass(frozen=True)
class Judged:
    """A finished evaluation: what the reader says and whether TFX blessed the model."""

    result: EvaluationResult
    blessed: bool
    uri: Path


Judge = Callable[..., Judged]


@pytest.fixture(scope="session")
def judge(saved_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Runs the Evaluator on impressions with a model by name, optionally against a baseline."""
    numbers = itertools.count()
    written: dict[int, tuple[Impressions, Path]] = {}

    def run(
        rows: Impressions,
        model: str,
        baseline: str | None = None,
        *,
        ours: bool = True,
        deviations: float = 0.0,
        **evaluation: Any,
    ) -> Judged:
        folder = tmp_path_factory.mktemp(f"evaluation{next(numbers)}")
        if id(rows) not in written:
            rows.write(folder / "examples")
            written[id(rows)] = rows, folder / "examples"
        examples = standard_artifacts.Examples()
        examples.uri = str(written[id(rows)][1])
        examples.split_names = artifact_utils.encode_split_names(["eval"])
        examples_utils.set_payload_format(examples, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(examples, "tfrecords_gzip")
        inputs = {
            "examples": [examples],
            "model": [_model(saved_model(model), 1)],
            "schema": [_schema(folder / "schema")],
        }
        if baseline is not None:
            inputs["baseline_model"] = [_model(saved_model(baseline), 2)]
        outputs = {
            "evaluation": [standard_artifacts.ModelEvaluation()],
            "blessing": [standard_artifacts.ModelBlessing()],
        }
        for name, [artifact] in outputs.items():
            artifact.uri = str(folder / name)
            (folder / name).mkdir()
        properties = {
            "eval_config": proto_utils.proto_to_json(
                eval_config(declare(**evaluation), deviations=deviations)
            ),
            "example_splits": json_utils.dumps(["eval"]),
        }
        # Naming an image keeps TFX from packing itself for remote workers, which takes seconds.
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=[*BEAM, "--sdk_container_image=none"],
            tmp_dir=str(folder / "tmp"),
            unique_id="1",
        )
        kind = executor.Executor if ours else tfx_executor.Executor
        kind(context).Do(inputs, outputs, properties)
        return Judged(
            read_evaluation(folder / "evaluation"),
            (folder / "blessing" / "BLESSED").exists(),
            folder / "evaluation",
        )

    return run


def schema_of() -> schema_pb2.Schema:
    """Of the examples."""
    schema = schema_pb2.Schema()
    for name, kind in (("click", "INT"), ("user", "INT"), ("place", "BYTES"), ("score", "FLOAT")):
        schema.feature.add(name=name, type=getattr(schema_pb2, kind))
    return schema


def _schema(folder: Path) -> standard_artifacts.Schema:
    io_utils.write_pbtxt_file(str(folder / "schema.pbtxt"), schema_of())
    artifact = standard_artifacts.Schema()
    artifact.uri = str(folder)
    return artifact


def _model(path: Path, number: int) -> standard_artifacts.Model:
    model = standard_artifacts.Model()
    model.uri = str(path)
    model.id = number
    return model
