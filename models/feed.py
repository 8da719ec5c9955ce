"""Batches made ready in a thread while the accelerator or the other core trains."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator

import numpy as np

from models.replicas import ALONE, Replicas
from models.rows import RowSource
from models.schedule import EpochPlan
from models.training_step import Chunk

READY_AT_MOST = 2
WAIT_SECONDS = 0.1


def chunk_of(source: RowSource, plan: EpochPlan, begin: int, steps: int, replicas: Replicas = ALONE) -> Chunk:
    """This process's part of steps `begin ... begin + steps - 1` of a plan, which have one shape, stacked."""
    whole = [plan.step(i) for i in range(begin, begin + steps)]
    parts = [replicas.part(step) for step in whole]
    rows = np.stack([part.rows for part in parts])
    return Chunk(
        rows=source.gather(rows),
        domains=np.stack([part.domains for part in parts]),
        weights=np.stack([part.weights for part in parts]),
        labels=source.label[rows].astype(np.float32),
        whole=np.array([[step.weights.sum(), step.weights.any(axis=1).sum()] for step in whole], np.float32),
    )


def chunks(
    source: RowSource,
    plan: EpochPlan,
    begin: int,
    steps_per_call: int,
    stop_every: int,
    replicas: Replicas = ALONE,
) -> Generator[tuple[int, Chunk], None, None]:
    """The epoch from step `begin` on, made ready ahead of use.

    Args:
        source: of the rows.
        plan: of the epoch.
        begin: first step.
        steps_per_call: most steps in a chunk; all of one shape.
        stop_every: no chunk crosses a multiple of so many steps of the epoch.
        replicas: who makes the steps together.

    Yields:
        The step after the chunk's last, and the chunk. An error in the thread is raised here.
    """
    ready: queue.Queue[tuple[int, Chunk] | Exception | None] = queue.Queue(READY_AT_MOST)
    abandoned = threading.Event()

    def offer(entry: tuple[int, Chunk] | Exception | None) -> bool:
        while not abandoned.is_set():
            try:
                ready.put(entry, timeout=WAIT_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            step = begin
            while step < len(plan):
                border = min((step // stop_every + 1) * stop_every, len(plan))
                count = 1
                while count < min(steps_per_call, border - step) and plan.shape(step + count) == plan.shape(
                    step
                ):
                    count += 1
                if not offer((step + count, chunk_of(source, plan, step, count, replicas))):
                    return
                step += count
            offer(None)
        except Exception as error:  # handed to the consumer, where it is raised
            offer(error)

    thread = threading.Thread(target=produce, name="batches", daemon=True)
    thread.start()
    try:
        while (entry := ready.get()) is not None:
            if isinstance(entry, Exception):
                raise entry
            yield entry
    finally:
        abandoned.set()
        thread.join()
