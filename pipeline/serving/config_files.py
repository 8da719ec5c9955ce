"""TensorFlow Serving's own configuration files, in protobuf's text format."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any, Literal

from google.protobuf import text_format

from components.errors import InputError
from pipeline.client.proto_file import ProtoFile

_CONFIGS = ProtoFile(Path(__file__).with_name("configs.proto"))
METRICS_PATH = "/monitoring/prometheus/metrics"


@dataclasses.dataclass(frozen=True)
class BatchingParameters:
    """How requests are put together into batches. Defaults are TensorFlow Serving's.

    Attributes:
      max_batch_size: rows of a batch, and of one request.
      batch_timeout_seconds: how long a request waits for others.
      max_enqueued_batches: batches that may wait, for each signature; more are refused as UNAVAILABLE.
      num_batch_threads: batches computed at the same time.
      allowed_batch_sizes: a batch is padded, by repeating a row, to the next of these; any size where empty.
      split_large: a request of more rows than `max_execution_batch_size` is computed in parts.
      max_execution_batch_size: rows of a batch, where large requests are split.
    """

    max_batch_size: int = 1000
    batch_timeout_seconds: float = 0.0
    max_enqueued_batches: int = 10
    num_batch_threads: int = max(1, os.cpu_count() or 1)
    allowed_batch_sizes: tuple[int, ...] = ()
    split_large: bool = False
    max_execution_batch_size: int = 1000


@dataclasses.dataclass(frozen=True)
class VersionPolicy:
    """Which versions are served at the same time: the `latest` so many, `all`, or `specific` ones."""

    kind: Literal["latest", "all", "specific"] = "latest"
    latest: int = 1
    specific: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """One model of a model configuration file."""

    name: str
    base_path: str
    policy: VersionPolicy
    labels: tuple[tuple[str, int], ...]


@dataclasses.dataclass(frozen=True)
class SslConfig:
    """TLS of the gRPC side, PEM.

    Attributes:
      key: the server's private key.
      certificate: its certificate, with the chain.
      authority: certificates that sign clients' ones; `None` for the system's.
      verify_clients: whether a client has to show one.
    """

    key: bytes
    certificate: bytes
    authority: bytes | None = None
    verify_clients: bool = False

    def __repr__(self) -> str:
        return "SslConfig(...)"


def _read(path: Path, kind: str) -> Any:
    message = _CONFIGS[kind]()
    try:
        text_format.Parse(path.read_text("utf-8"), message)
    except text_format.ParseError as error:
        raise InputError(f"{path}: not a {kind} text file of TensorFlow Serving: line {error}") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: not a {kind} text file of TensorFlow Serving: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return message


def read_batching_parameters(path: Path) -> BatchingParameters:
    """Reads a `--batching_parameters_file`.

    `pad_variable_length_inputs` changes nothing here: requests whose tensors differ in length are not put into
    one batch, which needs no padding and leaves outputs as they are.

    Raises:
      InputError: the file is not one, or its numbers contradict each other.
    """
    message = _read(path, "BatchingParameters")

    def number(field: str, default: int, least: int = 1) -> int:
        if not message.HasField(field):
            return default
        value = int(getattr(message, field).value)
        if value < least:
            raise InputError(f"{path}: {field} must be at least {least}, got {value}")
        return value

    defaults = BatchingParameters()
    largest = number("max_batch_size", defaults.max_batch_size)
    executed = number("max_execution_batch_size", largest)
    split = bool(message.enable_large_batch_splitting.value)
    sizes = tuple(message.allowed_batch_sizes)
    if executed > largest:
        raise InputError(
            f"{path}: max_execution_batch_size ({executed}) must not exceed max_batch_size ({largest})"
        )
    last = executed if split else largest
    if sizes and (list(sizes) != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != last):
        raise InputError(
            f"{path}: allowed_batch_sizes must increase and end with "
            f"{'max_execution_batch_size' if split else 'max_batch_size'} ({last}), got {list(sizes)}"
        )
    return BatchingParameters(
        max_batch_size=largest,
        batch_timeout_seconds=number("batch_timeout_micros", 0, 0) / 1e6,
        max_enqueued_batches=number("max_enqueued_batches", defaults.max_enqueued_batches),
        num_batch_threads=number("num_batch_threads", defaults.num_batch_threads),
        allowed_batch_sizes=sizes,
        split_large=split,
        max_execution_batch_size=executed if split else largest,
    )


def read_metrics_path(path: Path) -> str | None:
    """Reads a `--monitoring_config_file`: where the Prometheus metrics are, or `None`.

    Raises:
      InputError: the file is not one.
    """
    config = _read(path, "MonitoringConfig").prometheus_config
    return (config.path or METRICS_PATH) if config.enable else None


def read_ssl_config(path: Path) -> SslConfig:
    """Reads a `--ssl_config_file`: key and certificates are in it, as PEM text.

    Raises:
      InputError: the file is not one, or lacks its key or its certificate.
    """
    message = _read(path, "SSLConfig")
    for field in ("server_key", "server_cert"):
        if "-----BEGIN" not in getattr(message, field):
            raise InputError(f"{path}: {field} must hold the text of a PEM file, -----BEGIN ...")
    if message.client_verify and not message.custom_ca:
        raise InputError(f"{path}: client_verify needs custom_ca, whose certificates clients have to show")
    return SslConfig(
        message.server_key.encode(),
        message.server_cert.encode(),
        message.custom_ca.encode() or None,
        message.client_verify,
    )


def read_model_configs(path: Path) -> list[ModelConfig]:
    """Reads a `--model_config_file`.

    Raises:
      InputError: the file is not one, names no model, or a model without a name or a directory.
    """
    configs = _read(path, "ModelServerConfig").model_config_list.config
    if not configs:
        raise InputError(f"{path}: names no model; expected model_config_list {{ config {{ ... }} }}")
    models = []
    for config in configs:
        if not config.name or not config.base_path:
            raise InputError(f"{path}: every config needs a name and a base_path, got {config!s}")
        if config.model_platform not in ("", "tensorflow"):
            raise InputError(
                f'{path}: model_platform must be "tensorflow", got {config.model_platform!r} for {config.name!r}'
            )
        labels = tuple(sorted(config.version_labels.items()))
        models.append(ModelConfig(config.name, config.base_path, _policy(config, path), labels))
    if len({model.name for model in models}) < len(models):
        raise InputError(f"{path}: two models have the same name")
    return models


def _policy(config: Any, path: Path) -> VersionPolicy:
    policy = config.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "specific":
        if not policy.specific.versions:
            raise InputError(f"{path}: the specific versions of model {config.name!r} are missing")
        return VersionPolicy("specific", specific=tuple(policy.specific.versions))
    if choice == "all":
        return VersionPolicy("all")
    return VersionPolicy("latest", latest=max(policy.latest.num_versions, 1))
