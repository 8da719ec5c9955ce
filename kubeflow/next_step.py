"""What to do with a package that was just compiled."""

from __future__ import annotations

import shlex

from kubeflow.options import CompileRequest


def recurring_name(request: CompileRequest) -> str:
    """The name of the schedule, on the terminal and in the file beside the package."""
    return f"{request.pipeline_name}-recurring"


def next_step(request: CompileRequest) -> list[str]:
    """The commands that start it, line by line, with what a run must be told."""
    package = shlex.quote(str(request.output))
    if request.target == "vertex":
        submit = (
            f'from google.cloud import aiplatform as a; a.PipelineJob("{request.pipeline_name}", '
            f'template_path="{request.output}").submit()'
        )
        return [f"next: python -c {shlex.quote(submit)}"]
    lacking = [
        f"{name}=..."
        for name, value in (("data_dir", request.data_dir), ("push_destination", request.push_destination))
        if value is None
    ]
    told = "".join(f" {value}" for value in lacking)
    lines = [
        "next: kfp --endpoint http://KUBEFLOW/pipeline run create "
        f"-e dfei -r {request.pipeline_name} -f {package}{told}"
    ]
    if request.recurring is not None:
        lines.append(
            "then: kfp --endpoint http://KUBEFLOW/pipeline recurring-run create --experiment-name dfei --job-name "
            f"{recurring_name(request)} --cron-expression {shlex.quote(f'0 {request.recurring}')} --max-concurrency 1 "
            f"--no-catchup --enabled --pipeline-package-path {package}"
        )
    lines.append(
        "serve what it pushes: kubectl apply --kustomize kubeflow/serving/overlays/volume (docs/handover.md)"
    )
    return lines
