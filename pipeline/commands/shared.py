"""What the subcommands share: options, the way they end."""

from __future__ import annotations

import datetime
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from pipeline.failures import explain
from pipeline.layout import RunLayout
from pipeline.screen import Screen, as_is

STOPPED = "stopped; the same command goes on from here"


def _declared_names(incomplete: str) -> list[str]:
    """The data sets that come with the product, for the shell's completion."""
    from importlib.resources import files

    names = sorted(entry.name[:-5] for entry in files("schemas").iterdir() if entry.name.endswith(".yaml"))
    return [name for name in names if name.startswith(incomplete)]


def _model_names(incomplete: str) -> list[str]:
    """The models, for the shell's completion."""
    from models.registry import MODELS

    return [name for name in MODELS if name.startswith(incomplete)]


Dataset = Annotated[
    str,
    typer.Option(
        "--dataset",
        help="A declared data set (kuairand-pure, kuairand-1k, simulated) or FILE.yaml.",
        autocompletion=_declared_names,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", help="The model to train; default: the declared one.", autocompletion=_model_names
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with the impression files and lookup tables, as downloaded."),
]
Root = Annotated[
    Path, typer.Option("--root", help="Folder for everything a run leaves; run again to resume.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting by its dotted name: seed=2, label=long_view, split.eval_days=1, model.layers=[64,32], "
        "moving_average.decay=0.8. Repeat for more.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--models",
        metavar="A,B",
        help="Models and variants, separated by commas; default: the nine systems and lightgbm.",
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", help="Trainings of each model, each with its own seed.")]
Trials = Annotated[
    int,
    typer.Option(
        "--trials",
        help="Sets of settings tried for each model on the validation days; the best replaces the declared one if "
        "it gains more than its standard error over users. 0: none.",
    ),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", help="Trainings at once; default: one per core, at most 8.")
]
Serving = Annotated[
    Path | None, typer.Option("--serving", help="Folder that TF Serving watches; default: ROOT/serving.")
]
BeamRunner = Annotated[
    str, typer.Option("--beam-runner", help="Engine of the data components: direct, flink, spark, dataflow.")
]
BeamOptions = Annotated[
    list[str] | None,
    typer.Option("--beam-option", metavar="NAME=VALUE", help="An option of the engine; repeat for more."),
]
Metadata = Annotated[
    str | None,
    typer.Option(
        "--metadata",
        metavar="URL",
        help="A database server that several machines share: postgresql://USER@HOST:PORT/DATABASE or mysql://...; "
        "the password in DFEI_METADATA_PASSWORD. Default: a file in ROOT.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document on standard output, everything else on standard error."
    ),
]


def as_typed() -> str:
    """The command line, for pages that say how they were made."""
    return shlex.join(["dfei", *sys.argv[1:]])


def complain(message: str) -> None:
    """Prints an error on standard error."""
    _on_standard_error(f"[bold red]error:[/] {as_is(message)}")


def warn(message: str) -> None:
    """Prints on standard error what should be read though the command did what it was told, with --quiet too."""
    _on_standard_error(f"[bold yellow]warning:[/] {as_is(message)}")


def _on_standard_error(text: str) -> None:
    Screen(stderr=True, soft_wrap=True).print(text, highlight=False)


def failure(error: BaseException, log: Path | None = None) -> tuple[int, str]:
    """Exit code and message of what a command raised; the traceback of a defect goes to standard error or `log`."""
    known = explain(error)
    if known is not None:
        message, code = known
        return code, message
    where = f"\nThe whole story is in {log}" if log is not None else ""
    return 3, f"this should not have happened: {type(error).__name__}: {error}{where}"


def leave(code: int) -> NoReturn:
    """Ends the process at once: native threads of the libraries may abort while the interpreter shuts down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def ending(stopped: str = "stopped") -> Iterator[None]:
    """Turns what the block raises into one message and an exit code.

    Args:
      stopped: what to say when the user interrupts: what is left, and how to go on.
    """
    try:
        yield
    except KeyboardInterrupt:
        complain(stopped)
        raise typer.Exit(130) from None
    except typer.Exit:
        raise
    except Exception as error:
        code, message = failure(error)
        if code == 3:
            traceback.print_exc()
        complain(message)
        raise typer.Exit(code) from None


def _note_interrupt() -> list[int]:
    """Notes SIGINT and SIGTERM; Python's own KeyboardInterrupt follows. The second time ends at once."""
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(number)
        if len(heard) > 1:
            os._exit(128 + heard[0])
        signal.default_int_handler(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return heard


def run_command(
    root: Path,
    name: str,
    work: Callable[[Console], str],
    result: Path,
    *,
    quiet: bool,
    as_json: bool,
    warnings: Sequence[str] = (),
) -> NoReturn:
    """Does the long work of a command with a root, and ends the process.

    What the libraries print goes to `ROOT/logs/NAME-....log`.

    Args:
      root: the folder for everything, made if it is missing.
      name: of the log.
      work: gets the console; what it returns, unless empty, says what was refused: exit code 1.
      result: the file that `--json` prints.
      quiet: whether nothing but errors is shown.
      as_json: whether standard output is for the result alone.
      warnings: said once the work is done, with `quiet` too; the work may add to them.
    """
    from pipeline.request import make_writable
    from pipeline.terminal import libraries_to

    log = RunLayout(root).logs / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    message, done = "", False
    heard = _note_interrupt()
    try:
        make_writable(root)
        with libraries_to(log, quiet=quiet, as_json=as_json) as console:
            try:
                message = work(console)
            except BaseException:
                with suppress(OSError):  # the disk with the log may be full
                    traceback.print_exc()
                raise
        code, done = 1 if message else 0, True
    except BaseException as error:
        # A library on the way may have made another error of the interruption.
        interrupted = bool(heard) or isinstance(error, KeyboardInterrupt)
        code, message = (128 + (heard or [signal.SIGINT])[0], STOPPED) if interrupted else failure(error, log)
    for warning in warnings:
        warn(warning)
    if message:
        complain(message)
    # Where the work was not done, the file is of an earlier one.
    if as_json and done:
        sys.stdout.write(result.read_text())
    leave(code)
