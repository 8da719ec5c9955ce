"""What of Kubernetes' API and of the Training Operator a TFJob meets, on this machine: pods are processes.

The API server is HTTP on the loopback, reached by a kubeconfig. It takes a TFJob only if it has nothing but what the
operator's definition has. As the operator does, it writes `TF_CONFIG`, starts a container again that did not end well,
counts how often, and says in the job's conditions what became of it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

from tests.models.test_replicas import free_ports

NAMESPACE = "team"
_JOBS = f"/apis/kubeflow.org/v1/namespaces/{NAMESPACE}/tfjobs"
# Of the operator's definition (kubeflow.org/v1, TFJob) what may be there, and of texts what they may be.
_SPEC = {"enableDynamicWorker", "runPolicy", "successPolicy", "tfReplicaSpecs"}
_RUN_POLICY = {
    "activeDeadlineSeconds",
    "backoffLimit",
    "cleanPodPolicy",
    "managedBy",
    "schedulingPolicy",
    "suspend",
    "ttlSecondsAfterFinished",
}
_REPLICA = {"replicas", "restartPolicy", "template"}
_REPLICA_TYPES = {"Chief", "Evaluator", "Master", "PS", "Worker"}
_RESTART_POLICIES = {"Always", "ExitCode", "Never", "OnFailure"}
_CLEAN_POD_POLICIES = {"All", "None", "Running"}


def check(job: Any) -> None:
    """Fails on what the operator's definition or Kubernetes would refuse."""
    assert (job["apiVersion"], job["kind"]) == ("kubeflow.org/v1", "TFJob")
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    # A service of each pod has the job's name in its own.
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", job["metadata"]["name"])
    assert len(f"{job['metadata']['name']}-worker-99") < 64
    spec = job["spec"]
    assert set(spec) <= _SPEC
    policy = spec.get("runPolicy", {})
    assert set(policy) <= _RUN_POLICY
    assert policy.get("cleanPodPolicy", "Running") in _CLEAN_POD_POLICIES
    assert all(isinstance(policy[key], int) for key in ("backoffLimit", "ttlSecondsAfterFinished"))
    assert set(spec["tfReplicaSpecs"]) <= _REPLICA_TYPES
    for replica in spec["tfReplicaSpecs"].values():
        assert set(replica) <= _REPLICA
        assert isinstance(replica["replicas"], int) and replica["replicas"] > 0
        assert replica["restartPolicy"] in _RESTART_POLICIES
        pod = {"apiVersion": "v1", "kind": "Pod", **replica["template"]}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
        # The operator's own check.
        assert any(container["name"] == "tensorflow" for container in pod["spec"]["containers"])


def tf_config(addresses: list[str], index: int) -> str:
    """As the operator writes it for a worker; an address is NAME-worker-INDEX.NAMESPACE.svc:2222 there."""
    return json.dumps(
        {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
            "environment": "cloud",
        }
    )


Start = Callable[["Operator", dict[str, Any]], None]


class Operator:
    """A cluster with the operator, inside a `with` block.

    Args:
      folder: for the kubeconfig and the pods' logs.
      start: what becomes of a job that was created; by default its pods run.
    """

    def __init__(self, folder: Path, start: Start | None = None) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.jobs: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.answers: list[tuple[int, str]] = []
        self.pods: dict[int, subprocess.Popen[bytes]] = {}
        self.restarts = 0
        self._folder = folder
        self._start = start or Operator._run
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    def __enter__(self) -> Operator:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self._server.server_port}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": address}}],
            "users": [{"name": "here", "user": {}}],
            "contexts": [
                {"name": "here", "context": {"cluster": "here", "user": "here", "namespace": NAMESPACE}}
            ],
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.jobs.clear()
        for pod in self.pods.values():
            _kill(pod)

    def say(self, name: str, kind: str, message: str = "") -> None:
        """Adds a condition to a job, as long as it is there."""
        job = self.jobs.get(name)
        if job is not None:
            condition = {"type": kind, "status": "True", "reason": f"TFJob{kind}", "message": message}
            job.setdefault("status", {}).setdefault("conditions", []).append(condition)

    def handle(self, method: str, path: str, body: bytes) -> tuple[int, str]:
        """The API's answer."""
        self.asked.append(f"{method} {path}")
        if self.answers:
            return self.answers.pop(0)
        if not path.startswith(_JOBS):
            return 404, "404 page not found\n"
        name = path.removeprefix(_JOBS).strip("/")
        if method == "POST":
            job = json.loads(body)
            try:
                check(job)
            except Exception as error:
                return _status(422, str(error))
            if job["metadata"]["name"] in self.jobs:
                return _status(409, "it is there")
            self.jobs[job["metadata"]["name"]] = job
            threading.Thread(target=self._start, args=(self, job), daemon=True).start()
            return 201, json.dumps(job)
        if name not in self.jobs:
            return _status(404, f"tfjobs.kubeflow.org {name!r} not found")
        job = self.jobs[name]
        if method == "DELETE":
            del self.jobs[name]
        return 200, json.dumps(job)

    def _run(self, job: dict[str, Any]) -> None:
        name, spec = job["metadata"]["name"], job["spec"]
        [(kind, replica)] = spec["tfReplicaSpecs"].items()
        assert kind == "Worker" and replica["restartPolicy"] == "OnFailure"
        [container] = replica["template"]["spec"]["containers"]
        command = [*container["command"], *container["args"]]
        addresses = [f"127.0.0.1:{port}" for port in free_ports(replica["replicas"])]
        for index in range(len(addresses)):
            self._start_pod(command, addresses, index)
        self.say(name, "Running")
        while self.jobs.get(name) is job:
            time.sleep(0.2)
            if self.pods[0].poll() == 0:
                self.say(name, "Succeeded")
                break
            lost = [index for index, pod in self.pods.items() if pod.poll() not in (None, 0)]
            self.restarts += len(lost)
            if self.restarts > spec["runPolicy"]["backoffLimit"]:
                self.say(name, "Failed", "Job has failed because it has reached the specified backoff limit")
                break
            for index in lost:
                self.say(name, "Restarting", f"worker {index}")
                self._start_pod(command, addresses, index)
        for pod in self.pods.values():
            _kill(pod)

    def _start_pod(self, command: list[str], addresses: list[str], index: int) -> None:
        with (self._folder / f"worker-{index}.log").open("ab") as log:
            self.pods[index] = subprocess.Popen(
                command,
                cwd="/",
                env={
                    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                    "HOME": str(self._folder),
                    "TF_CONFIG": tf_config(addresses, index),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, index: int) -> str:
        """What a pod's containers have printed."""
        return (self._folder / f"worker-{index}.log").read_text(errors="replace")

    def kill(self, index: int) -> None:
        """Ends the container of a worker, as a node that is lost does."""
        _kill(self.pods[index])


def _kill(pod: subprocess.Popen[bytes]) -> None:
    if pod.poll() is None:
        os.killpg(pod.pid, signal.SIGKILL)
        pod.wait()


def _status(code: int, message: str) -> tuple[int, str]:
    return code, json.dumps({"kind": "Status", "code": code, "message": message})


def _handler(operator: Operator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, text = operator.handle(self.command, self.path.partition("?")[0], body)
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Not on the terminal."""

    return Handler
