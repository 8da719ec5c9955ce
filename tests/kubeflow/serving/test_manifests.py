"""The deployment of TensorFlow Serving: valid manifests that refer to each other, in every overlay."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.serving import config_files
from tests.kubeflow.serving.kustomize import Document, build

SERVING = Path(__file__).parents[3] / "kubeflow" / "serving"
OVERLAYS = sorted(path.name for path in (SERVING / "overlays").iterdir())
EXTERNAL = {("Secret", "dfei-serving-bucket")}


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> list[Document]:
    return build(SERVING / "overlays" / request.param)


def one(documents: list[Document], kind: str, name: str = "dfei-serving") -> Any:
    return next(d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)


def pod(documents: list[Document], name: str = "dfei-serving") -> Any:
    return one(documents, "Deployment", name)["spec"]["template"]["spec"]


def pods(documents: list[Document]) -> list[Any]:
    return [d["spec"]["template"]["spec"] for d in documents if d["kind"] == "Deployment"]


def server(documents: list[Document]) -> Any:
    return next(
        container for container in pod(documents)["containers"] if container["name"] == "model-server"
    )


def arguments(documents: list[Document]) -> dict[str, str]:
    return dict(argument.removeprefix("--").split("=", 1) for argument in server(documents)["args"])


def validate(documents: list[Document]) -> None:
    for document in documents:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_there_are_overlays_for_a_volume_a_bucket_and_a_canary() -> None:
    assert OVERLAYS == ["bucket", "canary", "volume"]


def test_manifests_are_valid(overlay: list[Document]) -> None:
    validate(overlay)
    kinds = {document["kind"] for document in overlay}
    assert kinds >= {
        "Deployment",
        "Service",
        "ServiceAccount",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "NetworkPolicy",
        "ConfigMap",
    }


def test_validation_is_strict(overlay: list[Document]) -> None:
    pod(overlay)["containers"][0]["imagee"] = "x"
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(overlay)


def test_names_are_unique(overlay: list[Document]) -> None:
    names = [(document["kind"], document["metadata"]["name"]) for document in overlay]
    assert len(set(names)) == len(names)


def test_selectors_find_the_pods(overlay: list[Document]) -> None:
    deployment = one(overlay, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        one(overlay, "Service")["spec"]["selector"],
        one(overlay, "Service", "dfei-serving-pods")["spec"]["selector"],
        one(overlay, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one(overlay, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        pod(overlay)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector and selector.items() <= labels.items()
    target = one(overlay, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["apiVersion"], target["kind"], target["name"]) == ("apps/v1", "Deployment", "dfei-serving")
    assert "replicas" not in deployment["spec"]


def test_volumes_and_configs_are_there(overlay: list[Document]) -> None:
    names = {(document["kind"], document["metadata"]["name"]) for document in overlay} | EXTERNAL
    for spec in pods(overlay):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        assert len(volumes) == len(spec["volumes"])
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in names
        for container in spec["containers"]:
            # Variables of a process are read by more than the process.
            assert "envFrom" not in container
            for mount in container["volumeMounts"]:
                assert mount["name"] in volumes
        assert ("ServiceAccount", spec["serviceAccountName"]) in names


def test_ports_and_probes_name_what_the_server_opens(overlay: list[Document]) -> None:
    container = server(overlay)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    flags = arguments(overlay)
    assert ports == {"grpc": int(flags["port"]), "rest": int(flags["rest_api_port"])}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container[name]
        assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports
    for service in ("dfei-serving", "dfei-serving-pods"):
        for port in one(overlay, "Service", service)["spec"]["ports"]:
            assert port["port"] == ports[port["targetPort"]]
    allowed = {
        port["port"] for rule in one(overlay, "NetworkPolicy")["spec"]["ingress"] for port in rule["ports"]
    }
    assert allowed == set(ports.values())


def test_the_servers_files_are_tensorflow_servings(overlay: list[Document], tmp_path: Path) -> None:
    spec, flags = pod(overlay), arguments(overlay)
    mounts = {mount["mountPath"]: mount["name"] for mount in server(overlay)["volumeMounts"]}
    maps = {
        volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume
    }

    def file(flag: str) -> Path:
        path = Path(flags[flag])
        data = one(overlay, "ConfigMap", maps[mounts[str(path.parent)]])["data"]
        local = tmp_path / path.name
        local.write_text(data[path.name])
        return local

    batching = config_files.read_batching_parameters(file("batching_parameters_file"))
    assert batching.allowed_batch_sizes[-1] == batching.max_batch_size
    annotations = one(overlay, "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert config_files.read_metrics_path(file("monitoring_config_file")) == annotations["prometheus.io/path"]
    (model,) = config_files.read_model_configs(file("model_config_file"))
    mounted = next(mount for mount in server(overlay)["volumeMounts"] if mount["name"] == "models")
    assert model.base_path == f"{mounted['mountPath']}/{model.name}"
    path = server(overlay)["readinessProbe"]["httpGet"]["path"]
    assert path.startswith(f"/v1/models/{model.name}/") and path.endswith("metadata")
    for number in dict(model.labels).values():
        assert number in model.policy.specific
    if "/labels/" in path:
        assert path.split("/")[5] in dict(model.labels)


def test_containers_are_locked_down(overlay: list[Document]) -> None:
    for spec in pods(overlay):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
    assert {mount["name"] for mount in server(overlay)["volumeMounts"] if not mount.get("readOnly")} == {
        "tmp"
    }


def test_images_are_pinned(overlay: list[Document]) -> None:
    for spec in pods(overlay):
        for container in spec["containers"]:
            assert re.fullmatch(
                r"tensorflow/serving:\d+\.\d+\.\d+|rclone/rclone@sha256:[0-9a-f]{64}", container["image"]
            )


def test_a_pod_leaves_its_services_before_it_ends(overlay: list[Document]) -> None:
    pause = int(server(overlay)["lifecycle"]["preStop"]["exec"]["command"][1])
    assert 5 <= pause < pod(overlay)["terminationGracePeriodSeconds"]
    assert one(overlay, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert one(overlay, "HorizontalPodAutoscaler")["spec"]["minReplicas"] > 1


def test_no_server_lets_anything_out(overlay: list[Document]) -> None:
    policy = one(overlay, "NetworkPolicy")["spec"]
    assert "Egress" in policy["policyTypes"]
    assert policy["egress"] == []
    labels = one(overlay, "Deployment")["spec"]["template"]["metadata"]["labels"]
    # Policies add up: no other one may let the server out.
    for other in (document for document in overlay if document["kind"] == "NetworkPolicy"):
        chosen = other["spec"]["podSelector"]["matchLabels"]
        assert not chosen.items() <= labels.items() or other["spec"]["egress"] == []


def test_what_copies_from_a_bucket_has_the_credentials_and_the_only_way_out() -> None:
    overlay = build(SERVING / "overlays" / "bucket")
    policy = one(overlay, "NetworkPolicy", "dfei-serving-sync")["spec"]
    assert policy["ingress"] == []
    assert {port["port"] for rule in policy["egress"] for port in rule["ports"]} == {53, 443}
    (out,) = [rule for rule in policy["egress"] if rule["ports"][0]["port"] == 443]
    assert "169.254.0.0/16" in out["to"][0]["ipBlock"]["except"]
    deployment = one(overlay, "Deployment", "dfei-serving-sync")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    for selector in (deployment["selector"], policy["podSelector"]):
        assert selector["matchLabels"].items() <= labels.items()
    assert not any("secret" in volume for volume in pod(overlay)["volumes"])
    sync = pod(overlay, "dfei-serving-sync")
    (volume,) = [volume for volume in sync["volumes"] if "secret" in volume]
    (mount,) = [m for m in sync["containers"][0]["volumeMounts"] if m["name"] == volume["name"]]
    assert mount["readOnly"] is True
    environment = {entry["name"]: entry["value"] for entry in sync["containers"][0]["env"]}
    assert environment["RCLONE_CONFIG"] == f"{mount['mountPath']}/rclone.conf"
    claims = [
        volume["persistentVolumeClaim"]
        for spec in pods(overlay)
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert [claim["claimName"] for claim in claims] == ["dfei-models", "dfei-models"]
    assert sorted(claim.get("readOnly", False) for claim in claims) == [False, True]


@pytest.mark.parametrize("name", OVERLAYS)
def test_kustomize_builds_the_same(name: str) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on PATH: the overlays were built by the tests' own reading of kustomize only")
    run = subprocess.run(
        ["kubectl", "kustomize", str(SERVING / "overlays" / name)], capture_output=True, text=True, check=True
    )
    built = [document for document in yaml.safe_load_all(run.stdout) if document]
    validate(built)
    ours = build(SERVING / "overlays" / name)

    def plain(documents: list[Document]) -> list[tuple[str, Any]]:
        return sorted((d["kind"], yaml.safe_dump(_without_hashes(d))) for d in documents)

    assert plain(built) == plain(ours)


def _without_hashes(value: Any) -> Any:
    """Without the content hash that kustomize gives to the names of configMaps."""
    if isinstance(value, dict):
        return {key: _without_hashes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_hashes(item) for item in value]
    if isinstance(value, str) and value.startswith(("dfei-serving-server-", "dfei-serving-sync-")):
        return value.rpartition("-")[0]
    return value
