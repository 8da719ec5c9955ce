"""`dfei run`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from pipeline.commands.shared import (
    AsJson,
    BeamOptions,
    BeamRunner,
    Data,
    Dataset,
    Metadata,
    Model,
    Quiet,
    Root,
    Serving,
    Settings,
    as_typed,
    run_command,
)
from pipeline.layout import RunLayout


def run(
    dataset: Dataset,
    root: Root,
    data: Data = None,
    model: Model = None,
    settings: Settings = None,
    serving: Serving = None,
    beam_runner: BeamRunner = "direct",
    beam_options: BeamOptions = None,
    metadata: Metadata = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Only say what Beam jobs this would be, and what workers need.")
    ] = False,
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
    from pipeline.run import explain as explain_run
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
        command=as_typed(),
    )
    if explain:

        def tell(console: Console) -> str:
            explain_run(request, console)
            return ""

        run_command(layout.root, "explain", tell, layout.metrics, quiet=False, as_json=False)
    warnings: list[str] = []

    def work(console: Console) -> str:
        summary = run_pipeline(request, console)
        warnings.extend(summary.warnings)
        if summary.pushed_to:
            return ""
        # The screen has the reasons.
        return "the model was not pushed" + (f": {'; '.join(summary.reasons)}" if quiet or as_json else "")

    run_command(layout.root, "run", work, layout.metrics, quiet=quiet, as_json=as_json, warnings=warnings)
