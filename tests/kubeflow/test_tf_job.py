"""The TFJob of a package with several workers: its manifest, and how the Trainer's step goes about it."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from tfx.components.trainer.fn_args_utils import FnArgs

from components.errors import EngineError, GateError, InputError
from components.trainer import multi_worker, run_fn
from kubeflow import entrypoint, overrides, tf_job_run, tf_job_worker
from kubeflow import runtime_parameters as names
from kubeflow.compile import compile_package
from kubeflow.tf_job import PLURAL, TrainingJob
from pipeline.request import declared
from tests.kubeflow.conftest import IMAGE, Compiled, request
from tests.kubeflow.serving.kustomize import build
from tests.kubeflow.training_operator import NAMESPACE, Operator, Start, check, tf_config

HOUSE = Path(__file__).parents[2]
TOGETHER = ["training.strategy=multi_worker"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """With four workers."""
    output = tmp_path_factory.mktemp("package") / "dfei.yaml"
    compile_package(
        request(
            output,
            declaration=declared("simulated", TOGETHER, None),
            data_dir="/data",
            push_destination="/models",
            volumes=("impressions:/data", "dfei-models:/models"),
            labels=("team=growth",),
            resources=("Trainer:gpus=1,cpu=6,memory=32,retries=1",),
            trainer_workers=4,
            trainer_work="/data/training",
        )
    )
    return Compiled.read(output)


def _job(package: Compiled) -> TrainingJob:
    value = package.tasks["Trainer"].inputs.parameters[names.PREFIX + names.TRAINING_JOB]
    return TrainingJob.of(value.runtime_value.constant.string_value)


def test_the_compiled_manifest_is_valid(package: Compiled) -> None:
    job = _job(package)
    assert job.work == "/data/training"
    manifest = job.manifest
    check(manifest)
    worker = manifest["spec"]["tfReplicaSpecs"]["Worker"]
    assert (worker["replicas"], worker["restartPolicy"]) == (4, "OnFailure")
    assert manifest["spec"]["runPolicy"]["backoffLimit"] >= 4
    [container] = worker["template"]["spec"]["containers"]
    assert container["image"] == IMAGE
    assert container["command"] == ["python", "-m", tf_job_worker.__name__]
    wanted = {"cpu": "6", "memory": "32G", "nvidia.com/gpu": "1"}
    assert container["resources"] == {"requests": wanted, "limits": wanted}
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in worker["template"]["spec"]["volumes"]
    }
    mounts = {claims[mount["name"]]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts == {"impressions": "/data", "dfei-models": "/models"}
    for labels in (manifest["metadata"]["labels"], worker["template"]["metadata"]["labels"]):
        assert labels["team"] == "growth" and labels["dataset"] == "simulated"


@pytest.mark.parametrize("wrong", ["field", "policy", "container", "mount"])
def test_the_check_of_manifests_refuses(package: Compiled, wrong: str) -> None:
    manifest = _job(package).manifest
    worker = manifest["spec"]["tfReplicaSpecs"]["Worker"]
    [container] = worker["template"]["spec"]["containers"]
    if wrong == "field":
        worker["replica"] = 4
    elif wrong == "policy":
        worker["restartPolicy"] = "onFailure"
    elif wrong == "container":
        container["name"] = "trainer"
    else:
        container["volumeMounts"][0]["path"] = "/data"
    with pytest.raises((AssertionError, kubernetes_validate.ValidationError)):
        check(manifest)


def test_the_step_itself_only_waits(package: Compiled) -> None:
    resources = package.executor("Trainer").container.resources
    assert resources.cpu_limit == 1
    assert not resources.HasField("accelerator")
    assert package.tasks["Trainer"].retry_policy.max_retry_count == 1


def test_what_the_operator_tells_a_worker_is_understood() -> None:
    addresses = [f"dfei-simulated-trainer-0123456789-worker-{i}.{NAMESPACE}.svc:2222" for i in range(2)]
    cluster = multi_worker.cluster_of({multi_worker.VARIABLE: tf_config(addresses, 1)})
    assert (list(cluster.workers), cluster.index) == (addresses, 1)


def test_the_step_may_do_what_it_does() -> None:
    role, binding = build(HOUSE / "kubeflow" / "training")
    for document in (role, binding):
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    [rule] = role["rules"]
    assert (rule["apiGroups"], rule["resources"]) == (["kubeflow.org"], [PLURAL])
    assert set(rule["verbs"]) == {"create", "get", "delete"}
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_a_run_that_does_not_train_together_is_refused() -> None:
    config = {"custom_config": json.dumps({"declaration": declared("simulated", TOGETHER, None).to_json()})}
    values = {names.VIEW: "trainer", names.TRAINING_JOB: "{}"}
    overrides.apply(config, values)
    with pytest.raises(InputError, match="--trainer-workers"):
        overrides.apply(config, {**values, "settings": "training.strategy=none"})


# How the step goes about it: a folder for the pod, one for the volume, and a cluster that trains nothing.


def _fn_args(tmp_path: Path) -> FnArgs:
    pod = tmp_path / "pod"
    for folder in ("graph", "rows/Split-train", "rows/Split-eval/beam-temp-1"):
        (pod / folder).mkdir(parents=True)
    (pod / "graph" / "graph.pb").write_text("graph")
    (pod / "rows" / "Split-train" / "rows-00000-of-00001.gz").write_text("train")
    (pod / "rows" / "Split-eval" / "rows-00000-of-00001.gz").write_text("eval")
    return FnArgs(
        transform_graph_path=str(pod / "graph"),
        train_files=[f"{pod}/rows/Split-train/*"],
        eval_files=[f"{pod}/rows/Split-eval/*"],
        custom_config={
            "declaration": declared("simulated", TOGETHER, None).to_json(),
            "code": "",
            "work_dir": None,
        },
        hyperparameters=None,
        serving_model_dir=str(pod / "model" / "Format-Serving"),
        model_run_dir=str(pod / "model_run"),
    )


def _told(job: dict[str, Any]) -> tuple[Path, dict[str, Any]]:
    [container] = job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"]
    [file] = container["args"]
    return Path(file), json.loads(Path(file).read_text())


def _trains(operator: Operator, job: dict[str, Any]) -> None:
    _, told = _told(job)
    rows = [file for given in told["train_files"] for file in Path(given).parent.glob("*")]
    graph = Path(told["transform_graph_path"]) / "graph.pb"
    model = Path(told["serving_model_dir"])
    (model / "saved_model.pb").write_text(graph.read_text() + "".join(row.read_text() for row in rows))
    (Path(told["model_run_dir"]) / "training.json").write_text("{}")
    operator.say(job["metadata"]["name"], "Running")
    operator.say(job["metadata"]["name"], "Succeeded")


def _cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> Operator:
    monkeypatch.setattr(tf_job_run, "POLL_SECONDS", 0.01)
    operator = Operator(tmp_path, start)
    monkeypatch.setenv("KUBECONFIG", str(operator.kubeconfig))
    return operator


@pytest.fixture
def here(package: Compiled, tmp_path: Path) -> TrainingJob:
    """The compiled job, whose volume is a folder."""
    return TrainingJob(str(tmp_path / "training"), _job(package).manifest)


def test_the_model_of_the_workers_lies_where_the_step_wants_it(
    here: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fn_args = _fn_args(tmp_path)
    with _cluster(tmp_path, monkeypatch, _trains) as operator, entrypoint._workers(here.to_json()):
        run_fn.run_fn(fn_args)
        [created] = operator.jobs.values()
    assert Path(fn_args.serving_model_dir, "saved_model.pb").read_text() == "graphtrain"
    assert Path(fn_args.model_run_dir, "training.json").is_file()
    assert created["metadata"]["name"].startswith("dfei-simulated-trainer-")
    assert not list(Path(here.work).iterdir())


def test_a_step_that_is_tried_again_waits_for_the_job_that_runs(
    here: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fn_args = _fn_args(tmp_path)
    stopped = threading.Event()

    def until_told(operator: Operator, job: dict[str, Any]) -> None:
        operator.say(job["metadata"]["name"], "Running")
        assert stopped.wait(60)
        _trains(operator, job)

    def lost(*_: object) -> None:
        raise SystemExit  # as a node that goes: nothing is cleaned up

    with _cluster(tmp_path, monkeypatch, until_told) as operator:
        with monkeypatch.context() as patch, pytest.raises(SystemExit):
            patch.setattr(tf_job_run, "_wait", lost)
            patch.setattr(tf_job_run._Cluster, "delete", lambda _: None)
            tf_job_run.train(fn_args, here)
        threading.Timer(0.3, stopped.set).start()
        tf_job_run.train(fn_args, here)
        assert sum(asked.startswith("POST") for asked in operator.asked) == 1
    assert Path(fn_args.serving_model_dir, "saved_model.pb").is_file()


def test_a_job_that_has_ended_is_made_anew_and_goes_on_from_its_checkpoints(
    here: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fn_args = _fn_args(tmp_path)
    attempts: list[list[str]] = []

    def fails_once(operator: Operator, job: dict[str, Any]) -> None:
        work = Path(_told(job)[1]["custom_config"]["work_dir"])
        attempts.append(sorted(path.name for path in work.glob("*")))
        if len(attempts) > 1:
            return _trains(operator, job)
        work.mkdir(parents=True)
        (work / "checkpoint").write_text("")
        operator.say(job["metadata"]["name"], "Failed", "it has reached the specified backoff limit")
        return None

    with _cluster(tmp_path, monkeypatch, fails_once) as operator:
        with pytest.raises(EngineError, match=r"backoff limit.*kubectl logs.*last checkpoint"):
            tf_job_run.train(fn_args, here)
        assert not operator.jobs
        tf_job_run.train(fn_args, here)
    assert attempts == [[], ["checkpoint"]]


@pytest.mark.parametrize(("code", "kind"), [(1, GateError), (2, InputError)])
def test_what_starting_again_cannot_mend_ends_the_job(
    here: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    said = json.dumps({"problem": {"text": "no rows", "code": code}})
    says = [sys.executable, "-c", f"import sys; print({said!r}); sys.exit({code})"]
    monkeypatch.setattr(multi_worker, "train_job", lambda _: multi_worker._watch(says))

    def worker(operator: Operator, job: dict[str, Any]) -> None:
        operator.say(job["metadata"]["name"], "Running")
        assert tf_job_worker.main([str(_told(job)[0])]) == code

    with _cluster(tmp_path, monkeypatch, worker) as operator:
        with pytest.raises(kind, match="no rows"):
            tf_job_run.train(_fn_args(tmp_path), here)
        assert not operator.jobs


def test_a_step_that_is_stopped_stops_its_job(
    here: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with _cluster(tmp_path, monkeypatch, lambda operator, job: None) as operator:
        monkeypatch.setattr(tf_job_run.time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tf_job_run.train(_fn_args(tmp_path), here)
        assert not operator.jobs


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (404, "404 page not found\n", "install the Training Operator"),
        (403, '{"message": "tfjobs is forbidden"}', "kubeflow/training.*tfjobs is forbidden"),
    ],
)
def test_a_cluster_that_cannot_is_said(
    here: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, text: str, words: str
) -> None:
    with _cluster(tmp_path, monkeypatch, _trains) as operator:
        operator.answers.append((code, text))
        with pytest.raises(InputError, match=words):
            tf_job_run.train(_fn_args(tmp_path), here)


def test_an_answer_that_fails_is_asked_for_again_and_silence_has_an_end(
    here: TrainingJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _cluster(tmp_path, monkeypatch, _trains) as operator:
        operator.answers += [(503, "{}"), (500, "{}")]
        tf_job_run.train(_fn_args(tmp_path), here)
        monkeypatch.setattr(tf_job_run, "SILENCE_SECONDS", 0.05)
        operator.answers += [(503, "{}")] * 1000
        with pytest.raises(EngineError, match="has not answered"):
            tf_job_run.train(_fn_args(tmp_path / "again"), here)


def test_a_shared_folder_that_is_not_mounted(package: Compiled, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mount the volume"):
        tf_job_run.train(_fn_args(tmp_path), TrainingJob("/nowhere/training", _job(package).manifest))
