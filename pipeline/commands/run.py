"""`dfei run`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.shared import AsJson, Data, Dataset, Model, Quiet, Root, Settings, run_command
from pipeline.layout import RunLayout


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
    from pipeline.request import RunRequest
    from pipeline.run import run as run_pipeline

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
    warnings: list[str] = []

    def work(console: Console) -> str:
        summary = run_pipeline(request, console)
        warnings.extend(summary.warnings)
        if summary.pushed_to:
            return ""
        return "the model was not pushed: " + "; ".join(summary.reasons)

    run_command(layout.root, "run", work, layout.metrics, quiet=quiet, as_json=as_json, warnings=warnings)
