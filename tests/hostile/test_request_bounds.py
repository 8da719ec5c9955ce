"""Small requests that ask for a great deal: refused by the exported graph before anything of that size is made."""

from __future__ import annotations

import resource
from typing import Any

import pytest
import tensorflow as tf

from components.trainer.raw_inputs import RawInputs
from components.trainer.request_bounds import MOST_IN_A_BATCH, MOST_PREDICTIONS, MOST_TEXT_BYTES
from tests.components.trainer.test_raw_inputs import raw_inputs

MISSING: dict[tf.DType, Any] = {tf.int64: -1, tf.float32: float("nan"), tf.string: ""}


@pytest.fixture(scope="module")
def inputs() -> RawInputs:
    return raw_inputs()


@pytest.fixture(scope="module")
def doors(inputs: RawInputs) -> dict[str, Any]:
    """As functions of a graph, as they are exported."""

    def traced(function: Any, rank: int) -> Any:
        return tf.function(
            function,
            input_signature=[
                {f.name: tf.TensorSpec([None] * rank, f.dtype, f.input) for f in inputs.features}
            ],
            autograph=False,
        )

    return {
        "named": traced(lambda named: tf.shape(inputs.from_named(named)["tab"])[0], 1),
        "rank": traced(lambda named: inputs.flat_ranking(named)[1], 2),
        "examples": tf.function(
            lambda examples: tf.shape(inputs.from_examples(examples)["tab"])[0],
            input_signature=[tf.TensorSpec([None], tf.string)],
            autograph=False,
        ),
    }


def request(inputs: RawInputs, rank: int, **given: tf.Tensor) -> dict[str, tf.Tensor]:
    missing = {f.name: tf.constant(MISSING[f.dtype], f.dtype, [1] * rank) for f in inputs.features}
    return {**missing, **given}


def domains(*shape: int) -> tf.Tensor:
    return tf.ones(shape, tf.int64)


def refused(door: Any, *words: str, **given: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        door(**given)
    for word in words:
        assert word in str(error.value)
    # kB: the graph itself may be built here, but nothing of the answer's size.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000


def test_as_many_predictions_as_allowed(inputs: RawInputs, doors: dict[str, Any]) -> None:
    assert doors["named"](request(inputs, 1, tab=domains(MOST_PREDICTIONS))) == MOST_PREDICTIONS
    shape = doors["rank"](request(inputs, 2, tab=domains(4, 128), item_id=tf.fill([4, 128], "7")))
    assert shape.numpy().tolist() == [4, 128, 128]
    together = request(inputs, 2, tab=domains(4, 256), user_id=domains(1, 256))
    assert doors["rank"](together).numpy().prod() == MOST_IN_A_BATCH
    assert doors["examples"](tf.fill([MOST_PREDICTIONS], b"")) == MOST_PREDICTIONS


def test_one_more_is_refused_with_both_figures(inputs: RawInputs, doors: dict[str, Any]) -> None:
    words = (str(MOST_PREDICTIONS + 1), str(MOST_PREDICTIONS))
    one = tf.constant
    refused(lambda: doors["named"](request(inputs, 1, tab=domains(MOST_PREDICTIONS + 1))), *words)
    refused(
        lambda: doors["named"](
            request(inputs, 1, tab=one([1], tf.int64), user_id=domains(MOST_PREDICTIONS + 1))
        ),
        *words,
    )
    refused(lambda: doors["examples"](tf.fill([MOST_PREDICTIONS + 1], b"")), *words)


@pytest.mark.parametrize(
    ("requests", "tabs", "items"),
    [
        (1, 3_000, 3_000),
        (1, 500, 500),
        (5, 256, 256),
        (4_000, 66, 1),
        (1, 1 << 20, 1 << 20),
        (2, 1 << 22, 1 << 22),
    ],
)
def test_ranking_counts_every_candidate_in_every_domain(
    inputs: RawInputs, doors: dict[str, Any], requests: int, tabs: int, items: int
) -> None:
    asked = request(inputs, 2, tab=domains(requests, tabs), user_id=domains(1, items))
    alone = tabs * items > MOST_PREDICTIONS
    words = (tabs * items, MOST_PREDICTIONS) if alone else (requests * tabs * items, MOST_IN_A_BATCH)
    if requests == 1 or not alone:
        refused(lambda: doors["rank"](asked), *map(str, words))
    else:
        refused(lambda: doors["rank"](asked), "may ask for")


@pytest.mark.parametrize("door", ["named", "rank"])
def test_text_that_holds_for_every_row_counts_for_every_row(
    inputs: RawInputs, doors: dict[str, Any], door: str
) -> None:
    rank = 1 if door == "named" else 2
    rows = 1 << 12
    text = "x" * (MOST_TEXT_BYTES // rows)
    shape = [rows] if rank == 1 else [1, rows]
    fits = request(inputs, rank, tab=domains(*shape), city=tf.fill([1] * rank, text))
    assert tf.reduce_max(doors[door](fits)) == rows
    refused(
        lambda: doors[door]({**fits, "city": tf.fill([1] * rank, text + "x")}),
        str(MOST_TEXT_BYTES),
        "bytes of text",
    )


def test_no_row_at_all_is_no_error(inputs: RawInputs, doors: dict[str, Any]) -> None:
    assert doors["named"](request(inputs, 1, tab=domains(0))) == 0
    assert doors["rank"](request(inputs, 2, tab=domains(1, 0))).numpy().tolist() == [1, 0, 1]
    assert doors["examples"](tf.constant([], tf.string)) == 0
