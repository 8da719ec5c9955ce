"""What the Trainer's step does instead of training where it was compiled with `--trainer-workers`.

It copies what is to be learned from its pod, where Kubeflow's launcher has put it, to the shared folder, creates the
TFJob, waits until it has ended, and copies the model back. The job and its folder are named by the step's own output:
a step that is tried again finds the job that still runs, or the checkpoints of one that does not.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from components.committed import committed_of
from components.errors import EngineError, GateError, InputError
from components.trainer.multi_worker import JOB_FILE, write_job
from kubeflow.tf_job import API_VERSION, PLURAL, TrainingJob
from kubeflow.tf_job_worker import PROBLEM

# How often the job is looked at, and for how long it may be that nobody answers.
POLL_SECONDS, SILENCE_SECONDS = 5.0, 600.0
_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_KINDS: dict[int, type[Exception]] = {kind.exit_code: kind for kind in (InputError, GateError)}
# Of a Kubernetes name, with room for `-worker-0` and what a service adds.
_LONGEST_NAME = 40


def train(fn_args: Any, job: TrainingJob) -> None:
    """Trains in a TFJob; when it returns, the model lies where the Trainer's arguments want it.

    Args:
      fn_args: the Trainer's arguments.
      job: what was compiled.

    Raises:
      InputError: the shared folder or the cluster's operator is missing, or the workers refuse what they were given.
      GateError: the training diverged.
      EngineError: the job failed or was deleted, or the cluster does not answer.
    """
    token = hashlib.blake2b(fn_args.serving_model_dir.encode(), digest_size=5).hexdigest()
    name = f"{job.manifest['metadata']['name'][: _LONGEST_NAME - 11]}-{token}"
    if not Path(job.work).parent.is_dir():
        raise InputError(
            f"{job.work}: this container has no folder {Path(job.work).parent}; mount the volume that the workers share"
        )
    folder = Path(job.work) / name
    cluster = _Cluster(name)
    if not cluster.is_running():
        cluster.delete()
        cluster.await_gone()
        manifest = _of_this_run(job, name, _stage(fn_args, folder))
        cluster.create(manifest)
        print(f"created the TFJob {name}; kubectl logs {name}-worker-0 shows how it trains", flush=True)
    try:
        _wait(cluster, folder)
    except (InputError, GateError):
        cluster.delete()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except BaseException:
        # Nobody waits for it any more. Its checkpoints stay.
        cluster.delete()
        raise
    for made, wanted in ((_model(folder), fn_args.serving_model_dir), (_run(folder), fn_args.model_run_dir)):
        shutil.copytree(made, wanted, dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _model(folder: Path) -> Path:
    return folder / "model"


def _run(folder: Path) -> Path:
    return folder / "model_run"


def _stage(fn_args: Any, folder: Path) -> Path:
    """Copies rows and Transform graph to the shared folder, and writes the job; returns its file."""
    for stale in ("rows", "transform_graph", "model", "model_run", PROBLEM):
        place = folder / stale
        shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    shutil.copytree(fn_args.transform_graph_path, folder / "transform_graph")
    patterns = {}
    for split, given in (("train", fn_args.train_files), ("eval", fn_args.eval_files)):
        target = folder / "rows" / split
        target.mkdir(parents=True)
        for file in committed_of(given):
            shutil.copy(file, target)
        patterns[split] = [f"{target}/*"]
    for made in (_model(folder), _run(folder)):
        made.mkdir()
    write_job(
        folder / JOB_FILE,
        fn_args,
        transform_graph_path=str(folder / "transform_graph"),
        train_files=patterns["train"],
        eval_files=patterns["eval"],
        custom_config={**fn_args.custom_config, "work_dir": str(folder / "work")},
        serving_model_dir=str(_model(folder)),
        model_run_dir=str(_run(folder)),
    )
    return folder / JOB_FILE


def _of_this_run(job: TrainingJob, name: str, file: Path) -> dict[str, Any]:
    manifest = copy.deepcopy(job.manifest)
    manifest["metadata"]["name"] = name
    for replica in manifest["spec"]["tfReplicaSpecs"].values():
        replica["template"]["spec"]["containers"][0]["args"].append(str(file))
    return manifest


def _wait(cluster: _Cluster, folder: Path) -> None:
    """Until the job has succeeded."""
    said = ""
    while True:
        conditions = cluster.conditions()
        problem = folder / PROBLEM
        if problem.is_file():
            found = json.loads(problem.read_text())
            raise _KINDS[found["code"]](found["text"])
        if conditions is None:
            raise EngineError(f"the TFJob {cluster.name} was deleted while it trained. {_AGAIN}")
        true = [one for one in conditions if one.get("status") == "True"]
        if true and true[-1]["type"] != said:
            said = true[-1]["type"]
            print(f"TFJob {cluster.name}: {said} {true[-1].get('message', '')}".rstrip(), flush=True)
        ended = {one["type"]: one.get("message", "") for one in true}
        if "Succeeded" in ended:
            return
        if "Failed" in ended:
            raise EngineError(
                f"the TFJob {cluster.name} failed ({ended['Failed']}); kubectl logs {cluster.name}-worker-0 has more. "
                f"{_AGAIN}"
            )
        time.sleep(POLL_SECONDS)


_AGAIN = "Tried again, the step goes on from its last checkpoint"


class _Cluster:
    """The job of a name in the namespace of this pod.

    Args:
      name: the job's.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        group, version = API_VERSION.split("/")
        place = {"group": group, "version": version, "namespace": _join(), "plural": PLURAL}
        objects = client.CustomObjectsApi()
        self._create = functools.partial(objects.create_namespaced_custom_object, **place)
        self._get = functools.partial(objects.get_namespaced_custom_object, **place, name=name)
        self._delete = functools.partial(objects.delete_namespaced_custom_object, **place, name=name)

    def create(self, manifest: dict[str, Any]) -> None:
        """Creates it."""
        _asked(functools.partial(self._create, body=manifest))

    def conditions(self) -> list[dict[str, Any]] | None:
        """What the operator says of it, oldest first; None: there is no such job."""
        try:
            found = _asked(self._get)
        except _NotThereError:
            return None
        return list(found.get("status", {}).get("conditions") or [])

    def is_running(self) -> bool:
        """Whether there is one that has not ended."""
        conditions = self.conditions()
        if conditions is None:
            return False
        return not any(
            one["type"] in ("Succeeded", "Failed") and one["status"] == "True" for one in conditions
        )

    def delete(self) -> None:
        """Deletes it, with its pods, if it is there."""
        with contextlib.suppress(_NotThereError):
            _asked(functools.partial(self._delete, propagation_policy="Foreground"))

    def await_gone(self) -> None:
        """Waits until there is none of this name."""
        end = time.monotonic() + SILENCE_SECONDS
        while self.conditions() is not None:
            if time.monotonic() > end:
                raise EngineError(f"the TFJob {self.name}, which has ended, cannot be deleted. {_AGAIN}")
            time.sleep(POLL_SECONDS)


class _NotThereError(Exception):
    """The cluster has no such object."""


def _asked(call: Callable[[], Any]) -> Any:
    """The cluster's answer; one that does not answer is asked again."""
    end = time.monotonic() + SILENCE_SECONDS
    while True:
        try:
            return call()
        except ApiException as error:
            if error.status == 404:
                if "page not found" in str(error.body):
                    raise InputError(
                        f"the cluster knows no {PLURAL}.{API_VERSION.split('/')[0]}: install the Training Operator "
                        "(v1), or compile without --trainer-workers"
                    ) from None
                raise _NotThereError from None
            if error.status in (401, 403):
                raise InputError(
                    "this pod's service account may not create TFJobs: kubectl apply --kustomize kubeflow/training "
                    f"(docs/kubeflow.md); the cluster says: {_said(error)}"
                ) from None
            if error.status in (400, 422):
                raise InputError(f"the cluster refuses the TFJob: {_said(error)}") from None
            reason: Exception = error
        except HTTPError as error:
            reason = error
        if time.monotonic() > end:
            raise EngineError(
                f"the cluster has not answered for {SILENCE_SECONDS:.0f} s ({reason}). {_AGAIN}"
            )
        time.sleep(POLL_SECONDS)


def _said(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _join() -> str:
    """Makes the cluster known to the client; returns the namespace: this pod's, or that of the KUBECONFIG."""
    try:
        if _NAMESPACE.is_file():
            config.load_incluster_config()
            return _NAMESPACE.read_text().strip()
        file = os.environ.get("KUBECONFIG")
        config.load_kube_config(file)
        _, active = config.list_kube_config_contexts(file)
    except config.ConfigException as error:
        raise InputError(
            f"a package with --trainer-workers creates a TFJob, and this is no pod that may: {error}"
        ) from None
    return str(active["context"].get("namespace", "default"))
