"""What `dfei compile` refuses before it imports TFX."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import InputError
from kubeflow.options import CompileRequest, check_cron, check_request, parse_labels, parse_volumes
from pipeline.cli import app
from pipeline.request import declared

DIGEST = "registry.example/team/dfei@sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def request_() -> CompileRequest:
    """A request that compiles."""
    return CompileRequest(declaration=declared("simulated", [], None), output=Path("p.yaml"), image=DIGEST)


def _refused(request: CompileRequest, *words: str, **changes: object) -> None:
    with pytest.raises(InputError) as caught:
        check_request(dataclasses.replace(request, **changes))
    for word in words:
        assert word in str(caught.value)


def test_a_good_request_passes(request_: CompileRequest) -> None:
    check_request(request_)
    assert request_.target == "kubeflow"
    assert dataclasses.replace(request_, output=Path("p.json")).target == "vertex"


def test_an_image_without_a_digest_is_refused_unless_tags_are_allowed(request_: CompileRequest) -> None:
    _refused(request_, "dfei:latest", "@sha256:", "--allow-tag", image="dfei:latest")
    _refused(request_, "@sha256:", image="dfei@sha256:abc")
    check_request(dataclasses.replace(request_, image="dfei:latest", allow_tag=True))
    _refused(request_, "no image name", image="dfei; rm", allow_tag=True)


def test_the_suffix_says_what_is_compiled(request_: CompileRequest) -> None:
    _refused(request_, ".yaml", ".json", "pipeline.tar.gz", output=Path("pipeline.tar.gz"))


def test_a_name_that_kubeflow_refuses_is_refused(request_: CompileRequest) -> None:
    declaration = request_.declaration.model_copy(update={"name": "My.Logs"})
    _refused(request_, "My.Logs", "lower-case", declaration=declaration)


@pytest.mark.parametrize("name", ["a" * 64, "logs-"])
def test_a_name_that_is_no_value_of_a_label_is_refused(request_: CompileRequest, name: str) -> None:
    _refused(request_, name, "label", declaration=request_.declaration.model_copy(update={"name": name}))


def test_places_of_this_machine_are_refused(request_: CompileRequest) -> None:
    _refused(request_, "--data", "../logs", data_dir="../logs")
    _refused(request_, "--push-destination", push_destination="serving")
    _refused(request_, "--pipeline-root", "minio://", pipeline_root="/tmp/root")
    _refused(request_, "--pipeline-root", "gs://", output=Path("p.json"))
    _refused(request_, "gs://", output=Path("p.json"), pipeline_root="s3://bucket")


@pytest.mark.parametrize("cron", ["30 3 * * *", "*/15 0-6 1,15 * 1-5", "0 0 1 1 0"])
def test_schedules_that_are_cron_pass(cron: str) -> None:
    check_cron(cron)


@pytest.mark.parametrize(
    ("cron", "word"),
    [
        ("daily", "five fields"),
        ("60 3 * * *", "0 to 59"),
        ("0 3 * 13 *", "1 to 12"),
        ("0 3 */0 * *", "*/0"),
        ("0 3 * * 7", "0 to 6"),
        ("0 3 * * 5-1", "5-1"),
    ],
)
def test_schedules_that_are_not_cron_are_refused(cron: str, word: str) -> None:
    with pytest.raises(InputError, match="--recurring") as caught:
        check_cron(cron)
    assert word in str(caught.value)


def test_labels_and_volumes_are_parsed() -> None:
    assert parse_labels(["team=growth", "cost_centre=a1"]) == {"team": "growth", "cost_centre": "a1"}
    assert parse_volumes(["impressions:/data"]) == [("impressions", "/data")]
    for bad in ("Team=growth", "team", "team=Growth"):
        with pytest.raises(InputError, match="--label"):
            parse_labels([bad])
    with pytest.raises(InputError, match="--volume"):
        parse_volumes(["impressions:data"])


def test_vertex_takes_no_volumes(request_: CompileRequest) -> None:
    _refused(request_, "--volume", output=Path("p.json"), pipeline_root="gs://b", volumes=("a:/b",))


def test_the_command_ends_with_code_2_and_one_message() -> None:
    done = CliRunner().invoke(
        app, ["compile", "--dataset", "simulated", "--output", "p.yaml", "--image", "dfei:1"]
    )
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_checking_a_request_imports_no_tfx() -> None:
    import subprocess

    code = (
        "import sys; from kubeflow.options import check_request; "
        "sys.exit(any(name.split('.')[0] in ('tfx', 'tensorflow', 'apache_beam') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_training_of_several_processes_needs_its_job(request_: CompileRequest) -> None:
    together = declared("simulated", ["training.strategy=multi_worker"], None)
    _refused(request_, "one container", "--trainer-workers", "strategy=mirrored", declaration=together)
    _refused(request_, "--trainer-work is of", trainer_work="/data/training")
    good = dataclasses.replace(
        request_,
        declaration=together,
        trainer_workers=2,
        trainer_work="/data/training",
        volumes=("impressions:/data",),
    )
    check_request(good)
    _refused(good, "not none", declaration=request_.declaration)
    _refused(good, "at least two", trainer_workers=1)
    _refused(good, "a day's training", recurring="0 3 * * *")
    _refused(good, "no TFJob", output=Path("p.json"), pipeline_root="gs://b", volumes=())
    for work in (None, "/data", "/database/training", "training"):
        _refused(good, "--trainer-work", "/data/training", trainer_work=work)
