"""`dfei compare`."""

from __future__ import annotations

import datetime
import shlex
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, Data, Dataset, Quiet, Root, Settings, complain, failure, leave
from pipeline.layout import RunLayout


def _list_models(wanted: bool) -> None:
    if not wanted:
        return
    from pipeline.compare.variants import VARIANTS

    for variant in VARIANTS.values():
        typer.echo(f"{variant.name:<28} {variant.title:<36} {' '.join(variant.settings)}".rstrip())
    raise typer.Exit(0)


def compare(
    dataset: Dataset,
    root: Root,
    data: Data = None,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            metavar="A,B",
            help="Models and variants, separated by commas; default: the nine systems and lightgbm.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option("--seeds", help="Trainings of each model, each with its own seed.")
    ] = 3,
    trials: Annotated[
        int,
        typer.Option(
            "--trials",
            help="Sets of settings tried for each model on the validation days; the best replaces the declared one if "
            "it gains more than its standard error over users. 0: none.",
        ),
    ] = 0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", help="Trainings at once; default: one per core, at most 8.")
    ] = None,
    settings: Settings = None,
    push: Annotated[
        bool, typer.Option("--push/--no-push", help="Push what validates best and passed its gates.")
    ] = False,
    serving: Annotated[
        Path | None, typer.Option("--serving", help="Folder that TF Serving watches; default: ROOT/serving.")
    ] = None,
    list_models: Annotated[
        bool,
        typer.Option(
            "--list", help="List models and variants, and leave.", is_eager=True, callback=_list_models
        ),
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compare models on the same features: a table, `comparison.json` and `comparison.html`.

    Adding a model or a seed trains only that; a comparison that was killed goes on from where it was.

    Exit codes: 0 done; 1 a gate refused the data, or with --push every model; 2 the input is wrong.

    Examples:

        dfei compare --dataset simulated --root out/comparison

        dfei compare --dataset kuairand-pure --data KuaiRand-Pure --root out/kuairand --seeds 5 --trials 4

        dfei compare --dataset simulated --root out/comparison --models dfei,dfei-without-dfe,dfei-without-dfi
    """
    from pipeline.compare.request import CompareRequest
    from pipeline.compare.request import compare as run_comparison
    from pipeline.run import make_writable
    from pipeline.terminal import libraries_to

    layout = RunLayout(root.resolve())
    request = CompareRequest(
        dataset=dataset,
        data=data,
        root=root,
        overrides=tuple(settings or ()),
        models=tuple(models or ()),
        seeds=seeds,
        jobs=jobs,
        trials=trials,
        push=push,
        serving=serving,
        command=shlex.join(["dfei", *sys.argv[1:]]),
    )
    log = layout.logs / f"compare-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    try:
        make_writable(layout.root)
    except Exception as error:
        code, message = failure(error)
        complain(message)
        leave(code)
    message = ""
    with libraries_to(log, quiet=quiet, as_json=as_json) as console:
        try:
            comparison = run_comparison(request, console)
            code = 1 if comparison.refused else 0
            if comparison.refused:
                message = "the champion was not pushed: " + "; ".join(comparison.refused)
        except KeyboardInterrupt:
            code, message = 130, "stopped; the same command goes on from here"
        except Exception as error:
            traceback.print_exc()
            code, message = failure(error, log)
    if message:
        complain(message)
    if as_json and code in (0, 1) and layout.comparison.is_file():
        sys.stdout.write(layout.comparison.read_text())
    leave(code)
