"""`dfei run`."""

from __future__ import annotations

import datetime
import os
import shlex
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from pipeline.commands.shared import (
    STOPPED,
    AsJson,
    Data,
    Dataset,
    Model,
    Quiet,
    Root,
    Settings,
    complain,
    failure,
    leave,
    warn,
)
from pipeline.layout import RunLayout


def _note_interrupt() -> threading.Event:
    """Sets the event when the user interrupts; Python's own KeyboardInterrupt follows. The second time ends at once."""
    stopped = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            os._exit(130)
        stopped.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    return stopped


def run(
    dataset: Dataset,
    root: Root,
    data: Data = None,
    model: Model = None,
    settings: Settings = None,
    serving: Annotated[
        Path | None, typer.Option("--serving", help="Folder that TF Serving watches; default: ROOT/serving.")
    ] = None,
    beam_runner: Annotated[
        str,
        typer.Option("--beam-runner", help="Engine of the data components: direct, flink, spark, dataflow."),
    ] = "direct",
    beam_options: Annotated[
        list[str] | None,
        typer.Option("--beam-option", metavar="NAME=VALUE", help="An option of the engine; repeat for more."),
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            "--metadata",
            metavar="URL",
            help="A database server that several machines share: postgresql://USER@HOST:PORT/DATABASE or mysql://...; "
            "the password in DFEI_METADATA_PASSWORD. Default: a file in ROOT.",
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train, judge and push a model: logs in, a TF Serving version, `metrics.json` and `report.html` out.

    What an earlier run with the same root has done, and nothing has changed since, is taken from the cache; a run
    that was killed goes on from where it was.

    Exit codes: 0 pushed; 1 a gate refused the data or the model; 2 the input is wrong.

    Examples:

        dfei run --dataset simulated --root out/simulated

        dfei run --dataset kuairand-pure --data KuaiRand-Pure --root out/kuairand

        dfei run --dataset kuairand-pure --data KuaiRand-Pure --root out/long --set label=long_view
    """
    from pipeline.request import RunRequest, make_writable
    from pipeline.run import run as run_pipeline
    from pipeline.terminal import libraries_to

    layout = RunLayout(root.resolve())
    request = RunRequest(
        dataset=dataset,
        data=data,
        root=root,
        overrides=tuple(settings or ()),
        model=model,
        serving=serving,
        beam_runner=beam_runner,
        beam_options=tuple(beam_options or ()),
        metadata=metadata,
        command=shlex.join(["dfei", *sys.argv[1:]]),
    )
    log = layout.logs / f"run-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    message, summary = "", None
    stopped = _note_interrupt()
    try:
        make_writable(layout.root)
        with libraries_to(log, quiet=quiet, as_json=as_json) as console:
            try:
                summary = run_pipeline(request, console)
            except BaseException:
                with suppress(OSError):  # the disk with the log may be full
                    traceback.print_exc()
                raise
        code = 0 if summary.pushed_to else 1
        for warning in summary.warnings:
            warn(warning)
        if not summary.pushed_to:
            message = "the model was not pushed: " + "; ".join(summary.reasons)
    except BaseException as error:
        # A library on the way may have made another error of it.
        code, message = (130, STOPPED) if stopped.is_set() else failure(error, log)
    if message:
        complain(message)
    # Without a summary the file is of an earlier run.
    if as_json and summary is not None and code in (0, 1):
        sys.stdout.write(layout.metrics.read_text())
    leave(code)
