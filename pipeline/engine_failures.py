"""What an engine's failure says in words of this product: what was lost, and which setting would have saved it."""

from __future__ import annotations

import re

from components.errors import EngineError, GateError, InputError

_GO_ON = "What finished before is kept: the same command goes on from there"
_OURS = {kind.__name__: kind for kind in (InputError, GateError)}
_OUR_ERROR = re.compile(rf"^(?:[\w.]+\.)?({'|'.join(_OURS)}): (.+?)(?: \[while running .*)?$", re.MULTILINE)
_RESTART = (
    "a restart strategy lets the job go on with the others (Flink: `restart-strategy: fixed-delay` with "
    "`restart-strategy.fixed-delay.attempts`)"
)
# What engines and Beam write, in the order of how much it tells: what happened, and what helps.
_KNOWN = (
    (
        r"[Ii]nsufficient number of network buffers",
        "a task manager has too little network memory for the job's tasks",
        "set `taskmanager.memory.network.min` and `.max` to 512m, or give less `parallelism`",
    ),
    (
        r"[Rr]ecord (?:is )?too large|record exceeds the maximum size|too small to hold the record",
        "a record does not fit into the memory that a task manager sorts with",
        "raise `taskmanager.memory.managed.size`",
    ),
    (
        r"harnesses run already",
        "a worker pool has no room for one more harness",
        "give `python -m pipeline.worker_pool` a higher --most, or the job less `parallelism`",
    ),
    (
        r"NoResourceAvailable|[Cc]ould not acquire the minimum required resources|Slot request .*timeout",
        "the cluster has fewer free slots than the job asks for",
        "start more task managers, or give less `parallelism`",
    ),
    (
        r"OutOfMemoryError|Java heap space|OOMKilled|Metaspace",
        "a worker ran out of memory",
        "raise the memory of the task managers (Flink: `taskmanager.memory.task.heap.size`), or of the executors",
    ),
    (
        r"TaskManager .*(?:no longer reachable|timed out|disconnected|closed)|TaskExecutor .*shut"
        r"|[Cc]onnection unexpectedly closed by remote task manager|Lost task manager|ExecutorLostFailure"
        r"|Heartbeat of TaskManager",
        "a task manager was lost while the job ran",
        _RESTART,
    ),
    (
        r"SDK harness .*(?:disconnect|exited)|client cancelled|Process died with exit code|RemoteEnvironment"
        r"|Error starting worker|Worker subprocess exited|call already cancelled|StatusCode.CANCELLED",
        "a harness, the process of Python that does the work, was lost while the job ran",
        "give each task manager a worker pool of its own (`python -m pipeline.worker_pool`) with memory enough; "
        + _RESTART,
    ),
    (
        r"Deadline Exceeded|DEADLINE_EXCEEDED|FutureTimeoutError",
        "the job took longer than `job_server_timeout` allows",
        "leave that option out: the default is a week",
    ),
    (
        r"StatusCode.UNAVAILABLE|failed to connect to all addresses|Socket closed|Connection refused",
        "the connection to the job server was lost",
        "start it again; one that is restarted by its supervisor (on Kubernetes: a Deployment) saves the wait",
    ),
    (
        r"failed in state CANCELLED|JobCancellationException|Job was cancelled",
        "somebody cancelled the job on the engine",
        "nothing is wrong with the run",
    ),
    (
        r"suppressed by NoRestartBackoffTimeStrategy",
        "a task failed, and the cluster has no restart strategy",
        _RESTART,
    ),
)


def translate(error: Exception, where: str) -> Exception:
    """What to raise in place of what a Beam job on an engine raised.

    Args:
      error: that.
      where: the engine, in words.

    Returns:
      An `InputError` or a `GateError` that a worker raised; an `EngineError` for what the engine did; the error itself
      where the fault is of the code that it ran.
    """
    if isinstance(error, (InputError, GateError, EngineError)):
        return error
    text = f"{type(error).__name__}: {error}"
    ours = _OUR_ERROR.findall(text)
    if ours:
        kind, message = ours[-1]
        return _OURS[kind](message)
    for pattern, what, remedy in _KNOWN:
        if re.search(pattern, text):
            return EngineError(f"{where}: {what}. {_GO_ON}. To be spared it: {remedy}")
    if "failed in state" in text and "Traceback (most recent call last)" not in text:
        return EngineError(f"{where}: the job failed: {_last_line(text)}. {_GO_ON}")
    return error


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    return (causes or lines)[-1][:500]
