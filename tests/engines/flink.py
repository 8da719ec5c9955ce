"""A Flink cluster on this machine, and Beam's job server for it.

Flink's own distribution comes from `$FLINK_HOME` or from the package `apache-flink-libraries`, installed into a folder
of its own; the job server is the jar that `$FLINK_JOB_SERVER_JAR` names, or is fetched with Maven.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import apache_beam
import pytest

from tests.e2e.conftest import HOUSE
from tests.engines.conftest import START_SECONDS, service
from tests.models.test_replicas import free_ports

FLINK, PACKAGE = "1.18", "apache-flink-libraries==1.18.1"
JAR = f"beam-runners-flink-{FLINK}-job-server"
COORDINATES = f"org.apache.beam:{JAR}:{apache_beam.__version__}"
_GET = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get"
JAR_VARIABLE, HOME_VARIABLE = "FLINK_JOB_SERVER_JAR", "FLINK_HOME"
TASK_MANAGERS, SLOTS = 2, 1
_FOLDER = HOUSE / ".flink"
# Flink 1.18 reflects on these, which Java 17 forbids unless told otherwise.
_OPENED = (
    "java.lang",
    "java.net",
    "java.io",
    "java.nio",
    "sun.nio.ch",
    "java.lang.reflect",
    "java.text",
    "java.time",
)
_OPENED += ("java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks")


def needed(program: str) -> str:
    """The path of a program; the test fails with a remedy where it is missing."""
    path = shutil.which(program)
    if path is None:
        pytest.fail(f"no `{program}` on PATH: apt-get install openjdk-17-jre-headless maven", pytrace=False)
    return path


def job_server_jar() -> Path:
    """Beam's job server for Flink, of the version of the installed Beam."""
    given = os.environ.get(JAR_VARIABLE)
    if given is not None:
        if not Path(given).is_file():
            pytest.fail(f"{JAR_VARIABLE}={given}: no such file", pytrace=False)
        return Path(given)
    target = _FOLDER / f"{JAR}-{apache_beam.__version__}.jar"
    if not target.is_file():
        _FOLDER.mkdir(exist_ok=True)
        fetch = [needed("mvn"), "-B", "-q", _GET, f"-Dartifact={COORDINATES}", "-Dtransitive=false"]
        fetched = subprocess.run(
            [*fetch, f"-Ddest={target}"], capture_output=True, text=True, check=False, timeout=600
        )
        if fetched.returncode != 0 or not target.is_file():
            said = [line for line in (fetched.stdout + fetched.stderr).splitlines() if "ERROR" in line][:1]
            pytest.fail(
                f"Maven cannot fetch {COORDINATES}: {' '.join(said)}\nGive the jar yourself: "
                f"{JAR_VARIABLE}=/path/to/{target.name} make test-flink",
                pytrace=False,
            )
    return target


def distribution() -> Path:
    """The folder of Flink's distribution."""
    given = os.environ.get(HOME_VARIABLE)
    if given is not None:
        if not list(Path(given).glob("lib/flink-dist-*.jar")):
            pytest.fail(f"{HOME_VARIABLE}={given}: there is no lib/flink-dist-*.jar", pytrace=False)
        return Path(given)
    environment = _FOLDER / "environment"
    found = list(environment.glob("lib/python*/site-packages/pyflink"))
    if not found:
        uv = str(Path(sys.executable).parent / "uv")
        python = str(environment / "bin" / "python")
        for command in (
            [uv, "venv", "--quiet", str(environment)],
            [uv, "pip", "install", "--quiet", "--python", python, "setuptools<80", "wheel"],
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--python",
                python,
                "--no-deps",
                "--no-build-isolation",
                PACKAGE,
            ],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.fail(
                    f"{PACKAGE} cannot be installed: {done.stderr[-500:]}\nGive Flink {FLINK} yourself: "
                    f"{HOME_VARIABLE}=/path/to/flink-{FLINK} make test-flink",
                    pytrace=False,
                )
        found = list(environment.glob("lib/python*/site-packages/pyflink"))
    return found[0]


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A job manager and several task managers; yields the address of its REST service."""
    home = distribution()
    java = needed("java")
    rpc, rest = free_ports(2)
    settings = {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": rpc,
        "jobmanager.bind-host": "127.0.0.1",
        "taskmanager.host": "localhost",
        "taskmanager.bind-host": "127.0.0.1",
        # Beam's job server and the task managers' harnesses are on this machine, too.
        "rest.bind-address": "127.0.0.1",
        "taskmanager.numberOfTaskSlots": SLOTS,
        # What Flink's start script would work out; `java` is started without it.
        "taskmanager.cpu.cores": 1.0,
        "taskmanager.memory.task.heap.size": "512m",
        "taskmanager.memory.task.off-heap.size": "0b",
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "128m",
        "taskmanager.memory.jvm-overhead.max": "128m",
        # As kubeflow/flink has it: 64 MB are too few buffers for some hundred tasks.
        "taskmanager.memory.network.min": "512m",
        "taskmanager.memory.network.max": "512m",
        "taskmanager.memory.managed.size": "256m",
        "rest.address": "localhost",
        "rest.port": rest,
        "parallelism.default": TASK_MANAGERS * SLOTS,
        "restart-strategy": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 3,
        "restart-strategy.fixed-delay.delay": "1 s",
        "io.tmp.dirs": str(folder / "tmp"),
    }
    conf = folder / "conf"
    for made in (conf, folder / "tmp"):
        made.mkdir()
    (conf / "flink-conf.yaml").write_text("".join(f"{key}: {value}\n" for key, value in settings.items()))

    def start(main_class: str) -> list[str]:
        opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED]
        main = f"org.apache.flink.runtime.{main_class}"
        return [java, *opened, "-cp", f"{home}/lib/*", main, "--configDir", str(conf)]

    with contextlib.ExitStack() as running:
        running.enter_context(
            service("jobmanager", rest, start("entrypoint.StandaloneSessionClusterEntrypoint"), folder)
        )
        for number in range(TASK_MANAGERS):
            log = running.enter_context((folder / f"taskmanager-{number}.log").open("wb"))
            process = subprocess.Popen(start("taskexecutor.TaskManagerRunner"), stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.terminate)
        _wait_for_task_managers(rest)
        yield f"localhost:{rest}"


def _wait_for_task_managers(rest: int) -> None:
    end = time.monotonic() + START_SECONDS
    while len(task_managers(f"localhost:{rest}")) < TASK_MANAGERS:
        if time.monotonic() > end:
            pytest.fail(f"fewer than {TASK_MANAGERS} task managers within {START_SECONDS} s", pytrace=False)
        time.sleep(0.5)


def task_managers(address: str) -> list[str]:
    """The ids of the task managers that have registered; none while the job managers elect a leader (503)."""
    try:
        with urllib.request.urlopen(f"http://{address}/taskmanagers", timeout=10) as answer:
            return [manager["id"] for manager in json.load(answer)["taskmanagers"]]
    except urllib.error.HTTPError as error:
        if error.code != 503:
            raise
        return []


@contextlib.contextmanager
def job_server(folder: Path, jar: Path, flink_master: str) -> Iterator[str]:
    """Beam's job server in front of a cluster; yields its address."""
    job, artifacts, expansion = free_ports(3)
    command = [needed("java"), "-jar", str(jar), "--flink-master", flink_master, "--job-port", str(job)]
    command += ["--artifact-port", str(artifacts), "--expansion-port", str(expansion)]
    command += ["--job-host", "localhost"]
    command += ["--artifacts-dir", str(folder / "staged")]
    with service("flink-job-server", job, command, folder):
        yield f"localhost:{job}"
