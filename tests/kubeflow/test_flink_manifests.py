"""Flink on a cluster: manifests that the operator and Kubernetes take, and that fit the job and each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from pipeline import worker_pool
from tests.kubeflow.serving.kustomize import Document, build

HOUSE = Path(__file__).parents[2]
# Of the operator's definition (v1beta1) what the manifests may use.
_RESOURCE = {"cpu", "memory", "ephemeralStorage"}
_SPEC = {
    "image",
    "imagePullPolicy",
    "flinkVersion",
    "serviceAccount",
    "flinkConfiguration",
    "podTemplate",
    "jobManager",
    "taskManager",
    "mode",
}


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return build(HOUSE / "kubeflow" / "flink")


def flink(documents: list[Document]) -> Any:
    [found] = [document for document in documents if document["kind"] == "FlinkDeployment"]
    assert found["apiVersion"] == "flink.apache.org/v1beta1"
    return found["spec"]


def side_car(documents: list[Document]) -> Any:
    pod = flink(documents)["taskManager"]["podTemplate"]["spec"]
    return next(container for container in pod["containers"] if container["name"] == "sdk-harnesses")


def test_what_kubernetes_knows_is_valid(documents: list[Document]) -> None:
    for document in documents:
        if document["kind"] != "FlinkDeployment":
            kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_operators_part_is_valid(documents: list[Document]) -> None:
    spec = flink(documents)
    assert set(spec) <= _SPEC
    assert re.fullmatch(r"v\d_\d\d", spec["flinkVersion"])
    assert all(isinstance(value, str) for value in spec["flinkConfiguration"].values())
    for role in ("jobManager", "taskManager"):
        assert set(spec[role]) <= {"replicas", "resource", "podTemplate"}
        assert set(spec[role]["resource"]) <= _RESOURCE
        assert isinstance(spec[role]["resource"]["cpu"], int)
    template = spec["taskManager"]["podTemplate"]
    kubernetes_validate.validate(template, kubernetes_validate.latest_version(), strict=True)
    side_car(documents)["imagee"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(template, kubernetes_validate.latest_version(), strict=True)
    del side_car(documents)["imagee"]


def test_a_job_of_hundreds_of_tasks_fits_and_outlives_a_task_manager(documents: list[Document]) -> None:
    settings = flink(documents)["flinkConfiguration"]
    assert settings["taskmanager.memory.network.min"] == settings["taskmanager.memory.network.max"] == "512m"
    assert settings["restart-strategy"] == "fixed-delay"
    assert int(settings["restart-strategy.fixed-delay.attempts"]) >= 1


def test_harnesses_come_from_the_worker_pool_beside_each_task_manager(documents: list[Document]) -> None:
    pool, pod = side_car(documents), flink(documents)["taskManager"]["podTemplate"]["spec"]
    assert pool["command"] == ["python", "-m", worker_pool.__name__]
    given = worker_pool.parse(pool["args"])
    assert (given.port, given.host) == (worker_pool.PORT, "127.0.0.1")
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in pool["volumeMounts"]} <= volumes
    assert pool["image"] == "REGISTRY/dfei@sha256:DIGEST"


def test_the_job_server_is_found_and_speaks_the_images_beam(documents: list[Document]) -> None:
    deployment, service = (
        next(document for document in documents if document["kind"] == kind)
        for kind in ("Deployment", "Service")
    )
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    [server] = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    assert {port["port"]: ports[port["targetPort"]] for port in service["spec"]["ports"]} == {
        8099: 8099,
        8098: 8098,
    }
    names = {document["metadata"]["name"] for document in documents}
    master = next(arg for arg in server["args"] if arg.startswith("--flink-master="))
    assert master.removeprefix("--flink-master=").removesuffix("-rest:8081") in names
    lock = (HOUSE / "kubeflow" / "requirements-current.txt").read_text()
    [beam] = re.findall(r"^apache-beam==(\S+)", lock, re.MULTILINE)
    assert server["image"].endswith(f":{beam}")
    assert f"flink{flink(documents)['flinkVersion'].removeprefix('v').replace('_', '.')}" in server["image"]
