"""Training by several processes, on one machine or many: who they are, and how they start.

TensorFlow wants its strategy before anything else in a process, and a pipeline has used TensorFlow long before its
Trainer begins. So the Trainer of the run writes down what is to be trained (`JOB_FILE` in the run's work folder,
which all machines share) and starts a process of its own for it, worker 0, the chief; `dfei worker` on the other
machines finds the job there and joins. The chief alone writes checkpoints and the model. Where something else
starts the processes, as on Kubeflow, all of them are given the job (`launched_by`).

    python -m components.trainer.multi_worker JOB_FILE
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components import progress
from components.errors import EngineError, GateError, InputError

JOB_FILE = "multi-worker.json"
VARIABLE = "TF_CONFIG"
_FIELDS = (
    "transform_graph_path",
    "train_files",
    "eval_files",
    "custom_config",
    "hyperparameters",
    "model_run_dir",
    "serving_model_dir",
)
_EXAMPLE = '{"cluster": {"worker": ["host0:5000", "host1:5000"]}, "task": {"type": "worker", "index": 0}}'
_POLL_SECONDS = 0.5
_KINDS: dict[int, type[Exception]] = {kind.exit_code: kind for kind in (InputError, GateError, EngineError)}
_AGAIN = "Start all workers again: training goes on from its last checkpoint"


_launch: Callable[[Any], None] | None = None


@contextlib.contextmanager
def launched_by(launch: Callable[[Any], None]) -> Iterator[None]:
    """Inside the block a training by several processes is `launch`'s, who is given the Trainer's arguments."""
    global _launch
    previous, _launch = _launch, launch
    try:
        yield
    finally:
        _launch = previous


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What `TF_CONFIG` says.

    Attributes:
      workers: host:port of every process, the chief first.
      index: which of them this one is.
    """

    workers: tuple[str, ...]
    index: int


def cluster_of(environment: Mapping[str, str] = os.environ) -> Cluster:
    """Reads and checks `TF_CONFIG`.

    Raises:
      InputError: it is missing, no JSON, names no workers, or not this one among them.
    """
    text = environment.get(VARIABLE)
    if not text:
        raise InputError(
            f"training.strategy is multi_worker, but {VARIABLE} is not set: give every process the same list and its "
            f"own index, as in {VARIABLE}='{_EXAMPLE}'; or take training.strategy=mirrored for one machine"
        )
    try:
        document = json.loads(text)
        jobs, task = document["cluster"], document["task"]
        kind, index = task["type"], int(task["index"])
        listed = {name: list(addresses) for name, addresses in jobs.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{VARIABLE}: expected JSON such as {_EXAMPLE}; found {text!r} ({error})") from None
    if not set(listed) <= {"chief", "worker"} or len(listed.get("chief", [])) > 1:
        raise InputError(
            f"{VARIABLE}: the cluster has the jobs {sorted(listed)}: expected `worker`, and at most one `chief`"
        )
    addresses = [*listed.get("chief", []), *listed.get("worker", [])]
    for address in addresses:
        if not isinstance(address, str) or not re.fullmatch(r"[\w.\-\[\]:]+:\d{1,5}", address):
            raise InputError(f"{VARIABLE}: {address!r}: expected HOST:PORT")
    if kind not in listed or not 0 <= index < len(listed[kind]):
        raise InputError(f"{VARIABLE}: the task {kind} {index} is not in the cluster {listed}")
    if len(addresses) < 2:
        raise InputError(
            f"{VARIABLE}: {len(addresses)} process is listed: several workers are at least two; for one take "
            "training.strategy=none or mirrored"
        )
    return Cluster(tuple(addresses), index + (len(listed.get("chief", [])) if kind == "worker" else 0))


def check_chief() -> None:
    """Refuses to start a run that could not train: only worker 0 runs the pipeline.

    Raises:
      InputError: see `cluster_of`; or this process is another worker.
    """
    cluster = cluster_of()
    if cluster.index != 0:
        raise InputError(
            f"{VARIABLE} makes this process worker {cluster.index}: the pipeline runs on worker 0; start `dfei worker "
            "--root ROOT` here, with the same ROOT"
        )


def train_together(fn_args: Any) -> None:
    """Trains by several processes and waits until the model is exported.

    Unless something else starts them (`launched_by`), writes the job and trains it as worker 0 in a process of its own.

    Args:
      fn_args: the Trainer's arguments.

    Raises:
      InputError: `TF_CONFIG` is wrong, or there is no work folder to share.
      GateError: the training diverged.
      EngineError: this process or another worker was lost.
      RuntimeError: the process ended otherwise.
    """
    if _launch is not None:
        _launch(fn_args)
        return
    check_chief()
    work = fn_args.custom_config.get("work_dir")
    if work is None:
        raise InputError(
            "training.strategy multi_worker needs a work folder that all workers share, as `dfei run --root` has: "
            "take training.strategy=mirrored here"
        )
    job = Path(work) / JOB_FILE
    write_job(job, fn_args)
    workers = len(cluster_of().workers)
    progress.report(progress.Progress(f"waiting for {workers - 1} more worker(s): `dfei worker`", 0, None))
    try:
        train_job(job)
    finally:
        job.unlink(missing_ok=True)


def write_job(job: Path, fn_args: Any, **changed: Any) -> None:
    """Writes what the processes of a training need to know.

    Args:
      job: the file, which appears whole.
      fn_args: the Trainer's arguments.
      changed: those of them that the processes shall see otherwise.
    """
    job.parent.mkdir(parents=True, exist_ok=True)
    partial = job.with_suffix(".partial")
    partial.write_text(json.dumps({field: getattr(fn_args, field) for field in _FIELDS} | changed))
    partial.rename(job)


def train_job(job: Path) -> None:
    """Trains a job as the worker that `TF_CONFIG` names, in a process of its own, and hands its progress on.

    Raises:
      InputError, GateError: what the training ended with.
      EngineError: this process or another worker was lost.
      RuntimeError: the process ended otherwise.
    """
    _watch([sys.executable, "-m", __name__, str(job)])


def join(work: Path, wait_seconds: float) -> None:
    """Waits for a job in the work folder and trains it as one of its workers.

    Args:
      work: the run's work folder.
      wait_seconds: how long to wait for the job.

    Raises:
      InputError: `TF_CONFIG` is wrong, makes this process the chief, or no job came.
      GateError: the training diverged.
    """
    if cluster_of().index == 0:
        raise InputError(
            f"{VARIABLE} makes this process worker 0, which runs the pipeline: start `dfei run` here"
        )
    job = work / JOB_FILE
    end = time.monotonic() + wait_seconds
    while not job.is_file():
        if time.monotonic() > end:
            raise InputError(
                f"{job}: no training began within {wait_seconds:.0f} s; start `dfei run` on worker 0 with the same "
                "root, on a folder that both see"
            )
        time.sleep(_POLL_SECONDS)
    train_job(job)


def _watch(command: Sequence[str]) -> None:
    """Runs a training process, hands its progress on, and raises what it ended with."""
    # What the interpreter was given by way of PYTHONPATH or the working folder reaches the child as it is.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        problem: dict[str, Any] = {}
        try:
            for line in process.stdout:
                message = _message(line)
                if "progress" in message:
                    progress.report(progress.Progress(**message["progress"]))
                problem = message.get("problem", problem)
        except BaseException:
            process.kill()
            raise
    if process.returncode == 0:
        return
    if problem:
        raise _KINDS[problem["code"]](problem["text"])
    if process.returncode < 0:
        raise EngineError(f"the training process was ended by signal {-process.returncode}. {_AGAIN}")
    raise RuntimeError(f"a training process ended with code {process.returncode}. {_AGAIN}")


def _message(line: str) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _tell(**message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> int:
    """Trains a job as the worker that `TF_CONFIG` names; returns the exit code."""
    import tensorflow as tf

    from models.replicas import multi_worker

    replicas = multi_worker()
    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
    from tfx.components.trainer.fn_args_utils import FnArgs

    from components.trainer.training import train_and_export

    [job] = arguments
    fn_args = FnArgs(**json.loads(Path(job).read_text()))
    with progress.listening(lambda report: _tell(progress=dataclasses.asdict(report))):
        try:
            train_and_export(fn_args, replicas)
        except (InputError, GateError) as error:
            _tell(problem={"text": str(error), "code": error.exit_code})
            return error.exit_code
        except lost as error:
            traceback.print_exc()
            said = str(error).partition("\n")[0][:300]
            _tell(problem={"text": f"another worker of the training was lost ({said}). {_AGAIN}", "code": 4})
            return EngineError.exit_code
        except Exception:
            traceback.print_exc()
            return 3
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # The servers that processes train together through may wait for each other while the interpreter shuts down.
    os._exit(code)
