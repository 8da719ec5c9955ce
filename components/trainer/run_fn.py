"""The Trainer's entry point: who trains, this process or several."""

from __future__ import annotations

from tfx.components.trainer.fn_args_utils import FnArgs

from components.dataset.declaration import Declaration
from components.trainer import multi_worker
from components.trainer.training import train_and_export
from models.replicas import ALONE, mirrored


def run_fn(fn_args: FnArgs) -> None:
    """Trains the declared model and exports it.

    `fn_args.custom_config` holds `declaration` (JSON), `code` (a hash; only there for the cache) and `work_dir`:
    a folder that outlives a kill, in which a restarted Trainer finds its checkpoints; `None` for a temporary one.
    With `compared` (a model's name in a comparison) it also leaves the evaluation rows' scores.

    `training.strategy` says who trains: this process on one device, on all GPUs of the machine, or together with
    others.

    Raises:
      InputError: there is nothing to train on, or nothing to validate with; the other workers are not told well.
      GateError: the training diverged.
    """
    declaration = Declaration.from_json(fn_args.custom_config["declaration"])
    if declaration.training.strategy == "multi_worker":
        multi_worker.train_together(fn_args)
    else:
        train_and_export(fn_args, mirrored() if declaration.training.strategy == "mirrored" else ALONE)
