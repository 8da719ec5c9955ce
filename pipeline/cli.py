"""The command line: `dfei ...` and `python -m pipeline ...`."""

from __future__ import annotations

import datetime
import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.failures import explain

app = typer.Typer(
    name="dfei",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Multi-domain click models on TFX: from impression logs to a judged, served DFEI model.\n\n"
    "Start with `dfei run --dataset simulated --root out/first`.",
)

Dataset = Annotated[
    str,
    typer.Option(
        "--dataset", help="A declared data set (kuairand-pure, kuairand-1k, simulated) or FILE.yaml."
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
AsJson = Annotated[bool, typer.Option("--json", help="Print metrics.json and nothing else.")]


@app.command()
def run(
    dataset: Dataset,
    root: Root,
    data: Data = None,
    model: Annotated[
        str | None, typer.Option("--model", help="The model to train; default: the declared one.")
    ] = None,
    settings: Settings = None,
    serving: Annotated[
        Path | None, typer.Option("--serving", help="Folder that TF Serving watches; default: ROOT/serving.")
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
    from pipeline.layout import RunLayout
    from pipeline.run import RunRequest
    from pipeline.run import run as run_pipeline
    from pipeline.terminal import libraries_to

    request = RunRequest(
        dataset=dataset,
        data=data,
        root=root,
        overrides=tuple(settings or ()),
        model=model,
        serving=serving,
        command=shlex.join(["dfei", *sys.argv[1:]]),
    )
    log = RunLayout(root.resolve()).logs / f"run-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    code = 0
    with libraries_to(log, quiet=quiet or as_json) as console:
        try:
            summary = run_pipeline(request, console)
            code = 0 if summary.pushed_to else 1
            refused = "" if summary.pushed_to else "; ".join(summary.reasons)
        except KeyboardInterrupt:
            console.print(f"[yellow]stopped[/]; the same command goes on from here. Log: {log}")
            code, refused = 130, ""
        except Exception as error:
            traceback.print_exc()
            code, refused = _failure(error, log)
    if refused:
        _complain(refused)
    if as_json and code in (0, 1) and RunLayout(root.resolve()).metrics.is_file():
        sys.stdout.write(RunLayout(root.resolve()).metrics.read_text())
    _leave(code)


def _failure(error: Exception, log: Path) -> tuple[int, str]:
    known = explain(error)
    if known is None:
        return (
            3,
            f"this should not have happened: {type(error).__name__}: {error}\nThe whole story is in {log}",
        )
    message, code = known
    return code, message


def _complain(message: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {message}", markup=True, highlight=False)


def _leave(code: int) -> None:
    """Ends the process at once: native threads of the libraries may abort while the interpreter shuts down."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Runs the command line."""
    app()
