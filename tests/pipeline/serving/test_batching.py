"""Dynamic batching: what is computed together, padding, refusals, and who gets which rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from pipeline.serving.batching import Batcher
from pipeline.serving.config_files import BatchingParameters
from pipeline.serving.errors import Code, RequestError, invalid
from pipeline.serving.metrics import Metrics
from pipeline.serving.saved_model import Port, ServedSignature

SIGNATURE = ServedSignature("serving_default", (Port("x", "x:0", 1, (-1,)),), (Port("y", "y:0", 1, (-1,)),))


class Doubler:
    """A model that doubles, and remembers the batches it was given."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.batches: list[list[float]] = []
        self.seconds = seconds

    def run(self, signature: ServedSignature, inputs: Any) -> dict[str, np.ndarray]:
        time.sleep(self.seconds)
        self.batches.append(inputs["x"].ravel().tolist())
        if -1.0 in inputs["x"]:
            raise invalid("a value is negative")
        return {"y": inputs["x"] * 2}


@pytest.fixture
def batcher() -> Iterator[Callable[..., Batcher]]:
    made: list[Batcher] = []

    def make(**parameters: Any) -> Batcher:
        defaults = {"max_batch_size": 4, "max_execution_batch_size": 4, "num_batch_threads": 1}
        made.append(Batcher(BatchingParameters(**{**defaults, **parameters}), 2, Metrics(dict)))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def ask(batcher: Batcher, model: Any, values: Any, deadline: float | None = None) -> list[float]:
    return batcher.run(model, SIGNATURE, {"x": np.asarray(values, np.float32)}, deadline)["y"].tolist()


def together(batcher: Batcher, model: Any, requests: list[list[float]]) -> list[Any]:
    """The answers, or errors, of requests made at the same time."""

    def one(values: list[float]) -> Any:
        try:
            return ask(batcher, model, values)
        except RequestError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(one, requests))


def test_requests_are_computed_together_and_get_their_own_rows(batcher: Callable[..., Batcher]) -> None:
    model = Doubler()
    answers = together(batcher(batch_timeout_seconds=5.0), model, [[1.0], [2.0, 3.0], [4.0]])
    assert answers == [[2.0], [4.0, 6.0], [8.0]]
    assert [sorted(batch) for batch in model.batches] == [[1.0, 2.0, 3.0, 4.0]]


def test_a_batch_waits_no_longer_than_its_timeout(batcher: Callable[..., Batcher]) -> None:
    model = Doubler()
    begun = time.monotonic()
    assert ask(batcher(batch_timeout_seconds=0.2), model, [1.0]) == [2.0]
    assert 0.19 <= time.monotonic() - begun < 2.0


def test_batches_are_padded_to_an_allowed_size(batcher: Callable[..., Batcher]) -> None:
    model = Doubler()
    one = batcher(allowed_batch_sizes=(2, 4))
    assert ask(one, model, [1.0, 2.0, 3.0]) == [2.0, 4.0, 6.0]
    assert ask(one, model, [5.0]) == [10.0]
    assert model.batches == [[1.0, 2.0, 3.0, 1.0], [5.0, 5.0]]


def test_a_request_larger_than_a_batch_is_refused_or_split(batcher: Callable[..., Batcher]) -> None:
    model = Doubler()
    with pytest.raises(RequestError, match="Task size 5 is larger than maximum input batch size 4") as caught:
        ask(batcher(), model, range(5))
    assert caught.value.code == Code.INVALID_ARGUMENT
    splitting = batcher(max_batch_size=100, max_execution_batch_size=4, split_large=True)
    assert ask(splitting, model, range(10)) == [2.0 * number for number in range(10)]
    assert [len(batch) for batch in model.batches] == [4, 4, 2]


def test_one_bad_request_does_not_fail_its_neighbours(batcher: Callable[..., Batcher]) -> None:
    model = Doubler()
    good, bad = together(batcher(batch_timeout_seconds=0.3), model, [[1.0], [-1.0]])
    assert good == [2.0]
    assert isinstance(bad, RequestError) and bad.code == Code.INVALID_ARGUMENT
    assert sorted(model.batches[0]) == [-1.0, 1.0]


def test_requests_that_do_not_fit_together_are_computed_apart(batcher: Callable[..., Batcher]) -> None:
    model = Doubler()
    one = batcher(batch_timeout_seconds=0.05)
    with ThreadPoolExecutor(2) as pool:
        wide = pool.submit(ask, one, model, [[1.0, 2.0, 3.0]])
        narrow = pool.submit(ask, one, model, [[4.0, 5.0]])
        assert (wide.result(), narrow.result()) == ([[2.0, 4.0, 6.0]], [[8.0, 10.0]])
    assert len(model.batches) == 2


def test_inputs_with_different_rows_are_not_batched(batcher: Callable[..., Batcher]) -> None:
    two = ServedSignature("rank", (Port("x", "x:0", 1, (-1,)), Port("z", "z:0", 1, (-1,))), SIGNATURE.outputs)
    model = Doubler()
    inputs = {"x": np.ones(1, np.float32), "z": np.ones(9, np.float32)}
    parameters = {"batch_timeout_seconds": 60.0, "max_batch_size": 9, "max_execution_batch_size": 9}
    assert batcher(**parameters).run(model, two, inputs, None)["y"].tolist() == [2.0]
    assert ask(batcher(batch_timeout_seconds=60.0), model, []) == []


def test_a_full_queue_refuses(batcher: Callable[..., Batcher]) -> None:
    model = Doubler(seconds=0.3)
    one = batcher(max_enqueued_batches=2)
    answers = together(one, model, [[float(number)] * 4 for number in range(8)])
    refused = [answer for answer in answers if isinstance(answer, RequestError)]
    assert 4 <= len(refused) <= 6
    assert {error.code for error in refused} == {Code.UNAVAILABLE}
    assert "queue to which this task was submitted is full" in refused[0].message


def test_a_request_whose_deadline_passed_is_not_computed(batcher: Callable[..., Batcher]) -> None:
    model = Doubler(seconds=0.2)
    one = batcher()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, one, model, [1.0])
        time.sleep(0.05)
        begun = time.monotonic()
        with pytest.raises(RequestError) as caught:
            ask(one, model, [2.0], time.monotonic() + 0.05)
        assert time.monotonic() - begun < 0.15
        assert first.result() == [2.0]
    assert caught.value.code == Code.DEADLINE_EXCEEDED
    one.stop()
    assert model.batches == [[1.0]]


def test_what_waits_is_computed_before_the_threads_end(batcher: Callable[..., Batcher]) -> None:
    model = Doubler()
    one = batcher(batch_timeout_seconds=60.0)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, one, model, [1.0])
        while not one._queues:
            time.sleep(0.005)
        threading.Thread(target=one.stop).start()
        assert answer.result(5.0) == [2.0]


def test_an_input_that_was_left_out_does_not_keep_a_request_out_of_a_batch(
    batcher: Callable[..., Batcher],
) -> None:
    class Adder(Doubler):
        def run(self, signature: ServedSignature, inputs: Any) -> dict[str, np.ndarray]:
            self.batches.append(inputs["z"].tolist())
            return {"y": inputs["x"] + inputs["z"]}

    ports = tuple(Port(name, f"{name}:0", 1, (-1,)) for name in ("x", "z"))
    default = np.array([10.0], np.float32)
    signature = ServedSignature("serving_default", ports, (Port("y", "y:0", 1, (-1,)),), {"z": default})
    model, runner = Adder(), batcher(batch_timeout_seconds=5.0)

    def one(given: dict[str, list[float]]) -> list[float]:
        inputs = signature.complete({name: np.array(values, np.float32) for name, values in given.items()})
        return runner.run(model, signature, inputs, None)["y"].tolist()  # type: ignore[arg-type]

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(one, [{"x": [1.0, 2.0, 3.0]}, {"x": [4.0], "z": [5.0]}]))
    assert answers == [[11.0, 12.0, 13.0], [9.0]]
    assert [sorted(batch) for batch in model.batches] == [[5.0, 10.0, 10.0, 10.0]]
