"""`dfei worker`."""

from __future__ import annotations

import datetime
import traceback
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.shared import Quiet, complain, failure, leave
from pipeline.layout import RunLayout


def worker(
    root: Annotated[
        Path, typer.Option("--root", help="The root of the run, in a folder that all workers see.")
    ],
    wait_minutes: Annotated[
        float, typer.Option("--wait-minutes", min=0, help="How long to wait for the training to begin.")
    ] = 120.0,
    quiet: Quiet = False,
) -> None:
    """Join the training of a run whose `training.strategy` is multi_worker, as one more worker.

    `TF_CONFIG` lists every process and says which one this is. Worker 0 runs `dfei run`; each other machine runs
    this command with the same root, before or after it.

    Exit codes: 0 the training is done; 1 it diverged; 2 the input is wrong.

    Example:

        TF_CONFIG='{"cluster": {"worker": ["host0:5000", "host1:5000"]}, "task": {"type": "worker", "index": 1}}'
        dfei worker --root /shared/run
    """
    from components import progress
    from components.trainer.multi_worker import join
    from pipeline.terminal import RunDisplay, libraries_to

    layout = RunLayout(root.resolve())
    log = layout.logs / f"worker-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    code, message = 0, ""
    with libraries_to(log, quiet=quiet) as console:
        try:
            with RunDisplay(console) as display, progress.listening(display.progress):
                join(layout.work, wait_minutes * 60)
        except KeyboardInterrupt:
            code, message = (
                130,
                "stopped; start all workers and the run again: training goes on from its last checkpoint",
            )
        except Exception as error:
            traceback.print_exc()
            code, message = failure(error, log)
    if message:
        complain(message)
    leave(code)
