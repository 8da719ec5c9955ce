"""The TFJob in which the Trainer's step of a package trains by several pods: its manifest.

The package's Trainer stays a task of one container, which TFX, the cache and the artifacts know. Compiled with
`--trainer-workers` it creates this job (`kubeflow.tf_job_run`), whose pods train together, and waits. They are told
each other by the Training Operator, which writes `TF_CONFIG`, and reach the rows, the checkpoints and the model in a
folder of a volume that all of them mount.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kubeflow.resources import Resources

API_VERSION, KIND, PLURAL = "kubeflow.org/v1", "TFJob", "tfjobs"
# The operator's name of the container that trains.
CONTAINER = "tensorflow"
COMMAND = ("python", "-m", "kubeflow.tf_job_worker")
# How often every worker may be started again before the job has failed.
RESTARTS = 3
_KEPT_SECONDS = 24 * 3600
# What the Trainer's own container needs, which copies and waits.
WAITING = Resources(1, 4)


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """What the Trainer's step is told.

    Attributes:
      work: a folder of a volume that the step and the workers mount.
      manifest: of the job; each run names it, and adds the path of what is to be trained to the arguments.
    """

    work: str
    manifest: dict[str, Any]

    @classmethod
    def of(cls, text: str) -> TrainingJob:
        """From the constant of the package."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """As a constant of the package."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)


def manifest(
    *,
    name: str,
    image: str,
    workers: int,
    resources: Resources,
    gpu_type: str,
    volumes: Sequence[tuple[str, str]],
    labels: Mapping[str, str],
) -> dict[str, Any]:
    """The job's manifest, of `kubeflow.org/v1`.

    Args:
      name: what its name begins with.
      image: of the workers, the package's.
      workers: how many.
      resources: of each.
      gpu_type: Kubernetes' name of the accelerator.
      volumes: claim and path of each volume.
      labels: of the job and its pods.
    """
    wanted = {"cpu": f"{resources.cpu:g}", "memory": f"{resources.memory:g}G"}
    if resources.gpus:
        wanted[gpu_type] = str(resources.gpus)
    container = {
        "name": CONTAINER,
        "image": image,
        "command": list(COMMAND),
        "args": [],
        "resources": {"requests": wanted, "limits": wanted},
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": f"volume-{i}", "mountPath": path} for i, (_, path) in enumerate(volumes)],
    }
    template = {
        # A mesh's side-car would outlive the training, and the pod with it.
        "metadata": {"labels": dict(labels), "annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [
                {"name": f"volume-{i}", "persistentVolumeClaim": {"claimName": claim}}
                for i, (claim, _) in enumerate(volumes)
            ],
        },
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            # When one worker is lost the others end too, and all start again.
            "runPolicy": {
                "backoffLimit": RESTARTS * workers,
                "cleanPodPolicy": "Running",
                "ttlSecondsAfterFinished": _KEPT_SECONDS,
            },
            "tfReplicaSpecs": {
                "Worker": {"replicas": workers, "restartPolicy": "OnFailure", "template": template}
            },
        },
    }
