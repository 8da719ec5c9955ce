"""On what Beam runs: this machine, or a distributed engine. Options are checked before anything starts.

ExampleGen, StatisticsGen, Transform and Evaluator are Beam jobs; `--beam-runner` chooses where they run. Imports no
Beam, so that a wrong option is an error in a moment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import socket
import urllib.request
from collections.abc import Mapping, Sequence

from components.dataset.names import meant
from components.errors import InputError
from components.stack import LOCAL_RUNNER

RUNNERS = ("direct", "flink", "spark", "dataflow")
CONNECT_SECONDS = 3.0
# From two cores on two processes are faster than one; from four on one core is left to others (docs/scaling.md).
_FEWEST_WORKERS = 2
_MOST_WORKERS = 16
# TFX packs itself into a source distribution for every Beam component whose options name no image: seconds each, for
# workers that already have this environment.
_NO_PACKING = "--sdk_container_image=unused"

_ENVIRONMENT = (
    "environment_type",
    "environment_config",
    "sdk_container_image",
    "environment_cache_millis",
    "sdk_worker_parallelism",
    "parallelism",
)
_PORTABLE = ("job_endpoint", "artifact_endpoint", "job_server_timeout", *_ENVIRONMENT)
# A harness outlives a stage by so long, where the engine keeps it: Flink with the runner's jar in its own `lib`.
_HARNESS_MILLIS = 60_000
# Beam gives up on a job that runs longer than this many seconds, 60 unless told otherwise ("Deadline Exceeded").
_JOB_SECONDS = 7 * 24 * 3600


@dataclasses.dataclass(frozen=True)
class Engine:
    """What a runner takes.

    Attributes:
      runner: Beam's name of it.
      required: options without which it cannot run; of a tuple of names, one.
      optional: further options; any other is a mistake.
      addresses: options that hold HOST:PORT and are tried at once.
      needs_java: whether Beam starts a job server here, unless `job_endpoint` names one.
    """

    runner: str
    required: tuple[tuple[str, ...], ...] = ()
    optional: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    needs_java: bool = False

    @property
    def known(self) -> tuple[str, ...]:
        """Every option."""
        return (*(name for names in self.required for name in names), *self.optional)


ENGINES: dict[str, Engine] = {
    "direct": Engine(LOCAL_RUNNER, optional=("workers",)),
    "flink": Engine(
        "FlinkRunner",
        required=(("flink_master", "job_endpoint"), ("environment_config", "sdk_container_image")),
        optional=("flink_version", "flink_job_server_jar", *_PORTABLE),
        addresses=("flink_master", "job_endpoint"),
        needs_java=True,
    ),
    "spark": Engine(
        "SparkRunner",
        required=(("spark_master_url", "job_endpoint"), ("environment_config", "sdk_container_image")),
        optional=("spark_version", "spark_job_server_jar", *_PORTABLE),
        addresses=("job_endpoint",),
        needs_java=True,
    ),
    "dataflow": Engine(
        "DataflowRunner",
        required=(("project",), ("region",), ("temp_location",), ("sdk_container_image",)),
        optional=(
            "staging_location",
            "service_account_email",
            "network",
            "subnetwork",
            "no_use_public_ips",
            "num_workers",
            "max_num_workers",
            "machine_type",
            "worker_machine_type",
            "disk_size_gb",
            "labels",
            "experiments",
        ),
    ),
}

_VALUES = {
    "project": (r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "a Google Cloud project id"),
    "region": (r"[a-z]+-[a-z]+\d+", "a region such as europe-west1"),
    "temp_location": (r"gs://.+", "a gs:// address"),
    "staging_location": (r"gs://.+", "a gs:// address"),
    "spark_master_url": (r"(spark://.+|local(\[.+\])?|yarn)", "spark://HOST:PORT"),
    "environment_type": (r"(DOCKER|PROCESS|EXTERNAL|LOOPBACK)", "DOCKER, PROCESS, EXTERNAL or LOOPBACK"),
    "workers": (r"[1-9]\d*", "a number of processes"),
    "parallelism": (r"[1-9]\d*", "a number"),
    "sdk_worker_parallelism": (r"\d+", "a number"),
    "environment_cache_millis": (r"\d+", "a number of milliseconds"),
    "num_workers": (r"[1-9]\d*", "a number"),
    "max_num_workers": (r"[1-9]\d*", "a number"),
    "disk_size_gb": (r"[1-9]\d*", "a number of GB"),
    "flink_version": (r"\d+\.\d+", "a version such as 1.18"),
    "spark_version": (r"3", "3"),
    "sdk_container_image": (r"[\w.\-/:]+(@sha256:\w+)?", "an image"),
    "service_account_email": (r"[\w.\-]+@[\w.\-]+", "the address of a service account"),
    "labels": (r"[a-z][a-z0-9_-]*=[a-z0-9_-]*", "KEY=VALUE"),
    "job_server_timeout": (r"[1-9]\d*", "a number of seconds"),
}


def beam_args(runner: str, options: Sequence[str] = (), *, connect: bool = True) -> tuple[str, ...]:
    """Beam's pipeline options for a runner.

    Args:
      runner: `direct`, `flink`, `spark` or `dataflow`.
      options: `key=value` texts.
      connect: whether addresses are tried.

    Returns:
      The options as on a command line. `direct` uses several worker processes where there are cores for them.

    Raises:
      InputError: the runner or an option is unknown, one is missing, has a wrong value or is not reached.
    """
    if runner not in ENGINES:
        raise InputError(f"--beam-runner {runner}: choose from {', '.join(RUNNERS)}")
    engine = ENGINES[runner]
    given = _parse(runner, engine, options)
    _check_required(runner, engine, given)
    for name, value in given.items():
        _check_value(name, value)
    if engine.needs_java and "job_endpoint" not in given and shutil.which("java") is None:
        raise InputError(
            f"--beam-runner {runner}: no `java` on PATH to run Beam's job server; install Java 11 or 17, or name a "
            "running one with --beam-option job_endpoint=HOST:PORT"
        )
    if connect:
        for name in engine.addresses:
            if name in given:
                _check_reached(name, given[name])
    if connect and "flink_master" in given and "parallelism" not in given:
        given |= free_slots(given["flink_master"])
    if runner == "direct":
        return _direct(int(given.get("workers", default_workers())))
    return _distributed(engine, given)


def default_workers(cores: int | None = None) -> int:
    """Worker processes of the direct runner: one for each core but one, but two where there are two cores."""
    cores = len(os.sched_getaffinity(0)) if cores is None else cores
    return min(cores, max(_FEWEST_WORKERS, cores - 1), _MOST_WORKERS)


def _direct(workers: int) -> tuple[str, ...]:
    mode = "in_memory" if workers == 1 else "multi_processing"
    return (
        f"--runner={LOCAL_RUNNER}",
        f"--direct_running_mode={mode}",
        f"--direct_num_workers={workers}",
        _NO_PACKING,
    )


def _distributed(engine: Engine, given: Mapping[str, str]) -> tuple[str, ...]:
    args = {**given}
    if "environment_config" in args and "environment_type" not in args:
        args["environment_type"] = "EXTERNAL" if _is_address(args["environment_config"]) else "DOCKER"
    if "job_endpoint" in engine.known:
        args.setdefault("job_server_timeout", str(_JOB_SECONDS))
        args.setdefault("environment_cache_millis", str(_HARNESS_MILLIS))
    runner = engine.runner
    if "job_endpoint" in args:
        runner = "PortableRunner"
    packing = () if "sdk_container_image" in args else (_NO_PACKING,)
    return (f"--runner={runner}", *(f"--{name}={value}" for name, value in sorted(args.items())), *packing)


def free_slots(flink_master: str) -> dict[str, str]:
    """How many workers a Flink cluster has to give, as an option; nothing where it does not say.

    Its own default is 1 unless somebody has configured another. A job of fewer elements takes fewer
    (`components.beam_jobs.fit`).
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        address = f"http://{flink_master}/overview"
        with urllib.request.urlopen(address, timeout=CONNECT_SECONDS) as answer:
            slots = int(json.load(answer)["slots-available"])
        if slots > 0:
            return {"parallelism": str(slots)}
    return {}


def _parse(runner: str, engine: Engine, options: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for option in options:
        name, equals, value = option.removeprefix("--").partition("=")
        if not equals or not value:
            raise InputError(f"--beam-option {option}: expected NAME=VALUE")
        if name not in engine.known:
            close = meant(name, engine.known)
            hint = f"Did you mean {close}?" if close else f"It takes {', '.join(sorted(set(engine.known)))}."
            raise InputError(f"--beam-option {option}: {runner} has no option {name!r}. {hint}")
        given[name] = value
    return given


def _check_required(runner: str, engine: Engine, given: Mapping[str, str]) -> None:
    missing = [names for names in engine.required if not any(name in given for name in names)]
    if missing:
        wanted = "; ".join(" or ".join(f"{name}=..." for name in names) for names in missing)
        raise InputError(
            f"--beam-runner {runner} needs more options: --beam-option {wanted} (docs/scaling.md has examples)"
        )


def _check_value(name: str, value: str) -> None:
    pattern, expected = _VALUES.get(name, (r".+", "a value"))
    if not re.fullmatch(pattern, value):
        raise InputError(f"--beam-option {name}={value}: expected {expected}")
    if name in ("flink_master", "job_endpoint", "artifact_endpoint") and not _is_address(value):
        raise InputError(f"--beam-option {name}={value}: expected HOST:PORT")


def _is_address(value: str) -> bool:
    return re.fullmatch(r"[\w.-]+:\d{1,5}", value) is not None


def _check_reached(name: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"--beam-option {name}={address}: nothing answers there ({error}); start it, or give another address"
        ) from None
