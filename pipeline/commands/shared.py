"""What the subcommands share: options, the way they end."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from pipeline.failures import explain


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
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print one JSON document on standard output, everything else on standard error."
    ),
]


def complain(message: str) -> None:
    """Prints an error on standard error."""
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False)


def failure(error: BaseException, log: Path | None = None) -> tuple[int, str]:
    """Exit code and message of what a command raised; the traceback of a defect goes to standard error or `log`."""
    known = explain(error)
    if known is not None:
        message, code = known
        return code, message
    where = f"\nThe whole story is in {log}" if log is not None else ""
    return 3, f"this should not have happened: {type(error).__name__}: {error}{where}"


def leave(code: int) -> None:
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
