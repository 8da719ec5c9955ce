"""A compile ends with the command that starts what it wrote; pages and manifests name the same places."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from components.dataset import load_declaration
from kubeflow.next_step import next_step
from kubeflow.options import CompileRequest

HOUSE = Path(__file__).parents[2]
SERVING = HOUSE / "kubeflow" / "serving"
IMAGE = f"registry/dfei@sha256:{'0' * 64}"


def request(output: str, **more: object) -> CompileRequest:
    return CompileRequest(load_declaration("simulated"), Path(output), IMAGE, **more)  # type: ignore[arg-type]


def test_what_a_run_must_still_be_told_is_said() -> None:
    told = next_step(request("my feed.yaml"))
    assert told[0] == (
        "next: kfp --endpoint http://KUBEFLOW/pipeline run create -e dfei -r dfei-simulated -f 'my feed.yaml' "
        "data_dir=... push_destination=..."
    )
    whole = next_step(request("a.yaml", data_dir="/data", push_destination="/models"))
    assert whole[0].endswith("-f a.yaml")
    assert len(whole) == 2


def test_a_schedule_has_its_command_with_kubeflows_seconds() -> None:
    told = next_step(request("a.yaml", recurring="30 3 * * *"))
    assert "--cron-expression '0 30 3 * * *'" in told[1]


def test_vertex_is_asked_by_its_own_client() -> None:
    assert 'PipelineJob("dfei-simulated", template_path="a.json").submit()' in next_step(request("a.json"))[0]


@pytest.mark.parametrize("page", ["handover.md", "kubeflow.md"])
def test_the_pipeline_writes_where_the_servers_read(page: str) -> None:
    claim = yaml.safe_load((SERVING / "components/volume/persistent-volume-claim.yaml").read_text())
    [container] = yaml.safe_load((SERVING / "base/deployment.yaml").read_text())["spec"]["template"]["spec"][
        "containers"
    ]
    mounted = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "models")
    base_path = re.search(r'base_path: "(.*)"', (SERVING / "base/config/models.config").read_text())
    assert base_path is not None
    text = (HOUSE / "docs" / page).read_text()
    assert f"--volume {claim['metadata']['name']}:{mounted}" in text
    places = re.findall(r"--push-destination (/\S+)", text)
    # Versions go to a folder of the model's name in the push destination.
    assert places
    assert all(f"{place}/dfei" == base_path.group(1) for place in places)
    source = (
        (SERVING / "components/bucket/deployment.yaml").read_text().split("models:my-bucket/")[1].split()[0]
    )
    assert all(
        f"{place}/dfei" == source for place in re.findall(r"--push-destination gs://BUCKET/([\w/-]+)", text)
    )


def test_the_claim_of_the_logs_is_the_one_that_the_pipeline_mounts() -> None:
    text = (HOUSE / "docs/handover.md").read_text()
    manifest = re.search(r"<<'END'[^\n]*\n(.*?)\nEND\n", text, re.DOTALL)
    assert manifest is not None
    claim = yaml.safe_load(manifest.group(1))
    assert (claim["kind"], claim["spec"]["accessModes"]) == ("PersistentVolumeClaim", ["ReadWriteMany"])
    assert f"--volume {claim['metadata']['name']}:/data" in text
