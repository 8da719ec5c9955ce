"""Trains a small model as one of several replicas and writes its variables: `train_together.py HOW CASES FOLDER`.

A process of its own, because TensorFlow wants to know devices and workers before it does anything. HOW is `alone`,
`mirrored` (two virtual CPUs) or `multi_worker` (`TF_CONFIG` says who); CASES is a JSON list of
`[name, model settings, training settings]`. Writes `<name>-<worker>.npz`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from models.base import DomainModel
from models.replicas import ALONE, Replicas, mirrored, multi_worker
from models.settings import TrainingSettings
from models.training_step import TrainingStep


class Killed(Exception):  # noqa: N818 - no error
    """Stands for a kill in the middle of an epoch."""


class _KilledOnce:
    """Ends the first training after so many calls."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def on_step(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def on_epoch(self, *_: object) -> None:
        """Nothing to do."""


def messages(model: DomainModel, settings: TrainingSettings, replicas: Replicas) -> int:
    """What a replica exchanges with the others in one training step, counted in the graph."""
    graph = TrainingStep(model, settings, replicas)._run.get_concrete_function().graph.as_graph_def()
    functions = [graph.node, *(function.node_def for function in graph.library.function)]
    nodes = [node.op for nodes in functions for node in nodes]
    return sum(op.startswith("Collective") for op in nodes) // (replicas.count // replicas.workers)


def main(how: str, cases: str, folder: str) -> None:
    if how == "mirrored":
        [cpu] = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    replicas = {"alone": lambda: ALONE, "mirrored": mirrored, "multi_worker": multi_worker}[how]()
    assert replicas.count == (1 if how == "alone" else 2)
    from models.registry import build_model
    from models.settings import ModelSettings
    from models.training import train
    from tests.models.helpers import learnable_rows, small_layout

    layout = small_layout(domains=5)
    rows, later = learnable_rows(layout, 1500, seed=1), learnable_rows(layout, 600, seed=2)
    for name, model_settings, training_settings in json.loads(cases):
        with replicas.scope():
            model = build_model(layout, ModelSettings(**model_settings))
        checkpoints = Path(folder) / f"checkpoints-{name}" if "resume" in name else None
        arguments = (model, rows, later, TrainingSettings(**training_settings))
        if checkpoints is not None:
            try:
                train(*arguments, checkpoint_dir=checkpoints, progress=_KilledOnce(12), replicas=replicas)
            except Killed:
                replicas.barrier()
            with replicas.scope():
                model = build_model(layout, ModelSettings(**model_settings))
            arguments = (model, *arguments[1:])
        result = train(*arguments, checkpoint_dir=checkpoints, replicas=replicas)
        assert result.resumed == (checkpoints is not None)
        if name == "dfei" and replicas.count > 1:
            # Forward and backward through v_d; dense gradients; how long the sparse ones are, and these.
            assert messages(model, TrainingSettings(**training_settings), replicas) == 5
        values = {variable.name: variable.numpy() for variable in model.variables}
        losses = np.array([record.loss for record in result.history])
        best = np.array(result.best_epoch)
        np.savez(Path(folder) / f"{name}-{replicas.worker}.npz", **values, losses=losses, best_epoch=best)


if __name__ == "__main__":
    main(*sys.argv[1:])
