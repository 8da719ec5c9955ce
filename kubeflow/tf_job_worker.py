"""One worker of a TFJob: `python -m kubeflow.tf_job_worker JOB_FILE`.

The Training Operator writes `TF_CONFIG`, which says which one it is. It starts a container again that ended with
another code than 0; training goes on from its last checkpoint then. What starting again cannot mend is written beside
the job, where the Trainer's step sees it and ends the job.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from components import progress
from components.errors import EngineError, GateError, InputError
from components.trainer import multi_worker

PROBLEM = "problem.json"
_SPEAK_SECONDS = 20.0


def main(arguments: Sequence[str]) -> int:
    """Trains; returns the exit code."""
    [job] = map(Path, arguments)
    try:
        with progress.listening(_speaker()):
            multi_worker.train_job(job)
    except (InputError, GateError) as error:
        problem = job.with_name(PROBLEM)
        partial = problem.with_suffix(".partial")
        partial.write_text(json.dumps({"text": str(error), "code": error.exit_code}))
        partial.rename(problem)
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _speaker() -> Callable[[progress.Progress], None]:
    """Prints each new step, and of a long one now and then how far it is."""
    step, spoke = "", 0.0

    def speak(report: progress.Progress) -> None:
        nonlocal step, spoke
        now = time.monotonic()
        if report.step == step and now < spoke + _SPEAK_SECONDS:
            return
        step, spoke = report.step, now
        total = "" if report.total is None else f" of {report.total:,}"
        print(f"{report.step}: {report.done:,}{total} {report.unit} {report.note}".rstrip(), flush=True)

    return speak


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
