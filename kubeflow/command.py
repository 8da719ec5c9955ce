"""`dfei compile`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.shared import AsJson, Dataset, Quiet, Settings, ending, warn

Texts = list[str] | None


def compile_(
    dataset: Dataset,
    output: Annotated[
        Path,
        typer.Option(
            "--output", help="FILE.yaml for open-source Kubeflow Pipelines v2, FILE.json for Vertex."
        ),
    ],
    image: Annotated[
        str, typer.Option("--image", help="The image of kubeflow/Dockerfile, NAME@sha256:DIGEST.")
    ],
    recurring: Annotated[
        str | None,
        typer.Option(
            "--recurring",
            metavar="CRON",
            help="A day of the feed each time, as `dfei daily --next`, by a schedule such as '30 3 * * *'.",
        ),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            "--root",
            help="With --recurring: default of the feed's root, a folder of a volume that every task mounts.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Default of data_dir: a mounted volume's folder or gs://...",
        ),
    ] = None,
    push_destination: Annotated[
        str | None,
        typer.Option("--push-destination", help="Default folder of served models; versions go to IT/MODEL."),
    ] = None,
    pipeline_root: Annotated[
        str | None, typer.Option("--pipeline-root", help="Store for artifacts: gs://, s3:// or minio://.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="Default of the parameter model; default: the declared one.")
    ] = None,
    settings: Settings = None,
    resources: Annotated[
        Texts,
        typer.Option("--resources", metavar="TASK:cpu=8,memory=16,gpus=1,retries=2", help="Of one task."),
    ] = None,
    gpu_type: Annotated[
        str | None, typer.Option("--gpu-type", help="nvidia.com/gpu, or Vertex's name of an accelerator.")
    ] = None,
    volume: Annotated[
        Texts, typer.Option("--volume", metavar="CLAIM:/PATH", help="A volume that every task mounts.")
    ] = None,
    trainer_workers: Annotated[
        int | None,
        typer.Option(
            "--trainer-workers",
            metavar="N",
            help="Train by N pods of a TFJob; --resources Trainer is of each.",
        ),
    ] = None,
    trainer_work: Annotated[
        str | None,
        typer.Option(
            "--trainer-work", metavar="/PATH", help="With them, a folder of a volume that they share."
        ),
    ] = None,
    label: Annotated[
        Texts, typer.Option("--label", metavar="KEY=VALUE", help="A label of pods or job.")
    ] = None,
    beam_runner: Annotated[
        str, typer.Option("--beam-runner", help="direct (in the containers), flink, spark or dataflow.")
    ] = "direct",
    beam_option: Annotated[
        Texts, typer.Option("--beam-option", metavar="NAME=VALUE", help="An option of the Beam runner.")
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Take unchanged steps from the cache.")
    ] = True,
    allow_tag: Annotated[
        bool, typer.Option("--allow-tag", help="Take an image by tag, which may change between runs.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Compile the pipeline for a cluster: a Kubeflow Pipelines v2 package, or a Vertex job.

    The package takes runtime parameters: where the data is, another declaration, model, epochs, rates, decay, any
    setting, push destination, Beam options. docs/kubeflow.md lists them.

    Examples:

        dfei compile --dataset kuairand-pure --output dfei.yaml --image registry/dfei@sha256:...
        --volume impressions:/data --volume dfei-models:/models --data /data/KuaiRand-Pure
        --push-destination /models

        dfei compile --dataset feed.yaml --output feed.yaml --image ... --recurring '30 5 * * *'
        --volume impressions:/data --volume dfei-models:/models --data /data/logs --root /data/feed
        --push-destination /models

        dfei compile --dataset kuairand-pure --output dfei.json --image ... --pipeline-root gs://bucket/root
        --data gs://bucket/KuaiRand-Pure --push-destination gs://bucket/serving
    """
    with ending():
        from components.dataset.schema import missing_schema
        from kubeflow.next_step import next_step
        from kubeflow.options import CompileRequest, check_request
        from pipeline.beam_runner import beam_args
        from pipeline.request import declared

        options = list(beam_option or ())
        if beam_runner == "direct" and not options:
            # The cores of this machine say nothing of the containers'.
            options = ["workers=1"]

        together = [] if trainer_workers is None else ["training.strategy=multi_worker"]
        request = CompileRequest(
            declaration=declared(dataset, [*together, *(settings or ())], model),
            output=output,
            image=image,
            allow_tag=allow_tag,
            data_dir=data,
            push_destination=push_destination,
            pipeline_root=pipeline_root,
            recurring=recurring,
            root=root,
            beam_args=beam_args(beam_runner, options, connect=False),
            resources=tuple(resources or ()),
            gpu_type=gpu_type,
            labels=tuple(label or ()),
            volumes=tuple(volume or ()),
            trainer_workers=trainer_workers,
            trainer_work=trainer_work,
            cache=cache,
        )
        # Wrong options are refused before TFX's imports take their time.
        check_request(request)
        from pipeline.screen import print_json
        from pipeline.terminal import libraries_to

        with (
            tempfile.TemporaryDirectory() as scratch,
            libraries_to(Path(scratch) / "log", quiet, as_json) as console,
        ):
            from kubeflow.compile import compile_package

            written = compile_package(request)
            for path in written:
                console.print(str(path), highlight=False, soft_wrap=True)
            for line in next_step(request):
                console.print(line, highlight=False, markup=False, soft_wrap=True)
        absent = missing_schema(request.declaration)
        if absent is not None:
            warn(absent)
        if as_json:
            print_json({"files": [str(path) for path in written]})
