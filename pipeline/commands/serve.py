"""`dfei serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.shared import Quiet, ending, leave
from pipeline.screen import Screen


def serve(
    model_dir: Annotated[
        Path | None, typer.Argument(help="Folder with one subfolder per version: ROOT/serving/dfei.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The model's name for callers; default: the folder's.")
    ] = None,
    rest_port: Annotated[
        int, typer.Option("--rest-port", max=65535, help="REST; 0 for any free port, -1 for no REST.")
    ] = 8501,
    grpc_port: Annotated[
        int, typer.Option("--grpc-port", max=65535, help="gRPC; 0 for any free port, -1 for no gRPC.")
    ] = 8500,
    health_port: Annotated[
        int,
        typer.Option(
            "--health-port",
            max=65535,
            help="For /healthz and /readyz alone, where requests cannot hold them up; 0 for any free port, -1 for none "
            "but those of REST.",
        ),
    ] = -1,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    ssl_config: Annotated[
        Path | None,
        typer.Option("--ssl-config-file", help="TLS of gRPC, as TF Serving's SSL config (text proto) says."),
    ] = None,
    rest_certificate: Annotated[
        Path | None,
        typer.Option("--rest-certificate", help="TLS of REST: the certificate, with its chain (PEM)."),
    ] = None,
    rest_key: Annotated[Path | None, typer.Option("--rest-key", help="And its key (PEM).")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="A file with the token that who reads the metrics has to show (Authorization: Bearer).",
        ),
    ] = None,
    max_predictions: Annotated[
        int,
        typer.Option(
            "--max-predictions",
            min=1,
            max=1 << 24,
            help="Most of one request: its rows, times domains and candidates of a ranking. An exported model has its "
            "own bound beside it.",
        ),
    ] = 1 << 16,
    unload_before_load: Annotated[
        bool,
        typer.Option(
            "--unload-before-load",
            help="Close a version before the next is loaded: the memory of one, and no answers in between.",
        ),
    ] = False,
    refuse_unknown_domains: Annotated[
        bool,
        typer.Option(
            "--refuse-unknown-domains",
            help="Answer a request for a domain that was not in training with an error; default: scored, counted, and "
            "said once.",
        ),
    ] = False,
    batching: Annotated[
        Path | None,
        typer.Option("--batching-parameters-file", help="TF Serving's batching parameters (text proto)."),
    ] = None,
    monitoring: Annotated[
        Path | None,
        typer.Option("--monitoring-config-file", help="TF Serving's monitoring config (text proto)."),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(
            "--model-config-file",
            help="Instead of a folder: several models, version policies and labels, as TF Serving's model config "
            "(text proto) says.",
        ),
    ] = None,
    log_requests: Annotated[
        Path | None,
        typer.Option(
            "--log-requests",
            metavar="FOLDER",
            help="Write a sample of the requests and their answers there, as TF Serving logs them (PredictionLog in "
            "TFRecord files); `dfei daily` holds the day's training rows against it.",
        ),
    ] = None,
    log_share: Annotated[
        float,
        typer.Option("--log-share", min=1e-6, max=1.0, help="The share of the requests that is logged."),
    ] = 0.01,
    wait_seconds: Annotated[float, typer.Option(help="How long to wait for a first version.")] = 0.0,
    quiet: Quiet = False,
) -> None:
    """Serve the pushed versions with TF Serving's protocol, on this machine.

    For development, tests and small deployments; production is the `tensorflow/serving` image with the files in
    `kubeflow/serving/`. A new version is warmed up before it takes over, the old one answers until then, and a
    version that does not load is reported and skipped.

    Examples:

        dfei serve out/simulated/serving/dfei

        dfei serve serving/dfei --host 0.0.0.0 --ssl-config-file ssl.config --rest-certificate c.pem --rest-key k.pem

        dfei serve --model-config-file models.config --batching-parameters-file batching.config

        curl localhost:8501/v1/models/dfei
    """
    with ending():
        from pipeline.serving.serve import serve as serve_models
        from pipeline.serving.settings import Limits

        serve_models(
            model_dir,
            name=name,
            rest_port=None if rest_port < 0 else rest_port,
            grpc_port=None if grpc_port < 0 else grpc_port,
            health_port=None if health_port < 0 else health_port,
            host=host,
            ssl_config_file=ssl_config,
            rest_certificate=rest_certificate,
            rest_key=rest_key,
            token_file=token_file,
            limits=Limits(
                predictions=max_predictions,
                predictions_together=max(Limits.predictions_together, 2 * max_predictions),
            ),
            unload_before_load=unload_before_load,
            refuse_unknown_domains=refuse_unknown_domains,
            log_requests=log_requests,
            log_share=log_share,
            batching_parameters_file=batching,
            monitoring_config_file=monitoring,
            model_config_file=models,
            wait_seconds=wait_seconds,
            console=Screen(quiet=quiet),
        )
    leave(0)
