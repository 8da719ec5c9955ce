"""What a compile is asked for, checked before anything of TFX is imported."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from components.dataset.declaration import Declaration
from components.errors import InputError

Target = Literal["kubeflow", "vertex"]

_DIGEST = re.compile(r"^[\w.\-:/]+@sha256:[0-9a-f]{64}$")
_TAG = re.compile(r"^[\w.\-:/]+$")
# Of a pipeline's name, and of the label that each pod carries it in.
_DATASET_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"^[a-z]([-a-z0-9_]{0,61}[a-z0-9])?$")
_VOLUME = re.compile(r"^(?P<claim>[a-z0-9]([-a-z0-9.]*[a-z0-9])?):(?P<path>/[^:]+)$")
_STORES = ("gs://", "s3://", "minio://")
# Sunday is 0: Kubeflow's scheduler knows no 7.
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@dataclasses.dataclass(frozen=True)
class CompileRequest:
    """What to compile, for what.

    Attributes:
      declaration: the data set and every setting.
      output: `.yaml` for open-source Kubeflow Pipelines, `.json` for Vertex.
      image: the container image, by digest.
      allow_tag: whether a tag is taken for the image.
      data_dir, push_destination: defaults of the runtime parameters; `None`: to be given for each run.
      pipeline_root: the store for artifacts; `None`: the cluster's own default (open source only).
      recurring: a cron schedule of five fields: a day of the feed is compiled; `None`: a run.
      root: default of the feed's root; `None`: to be given for each run.
      beam_args: Beam's options, compiled in.
      resources: `TASK:cpu=8,memory=16,gpus=1` for tasks that differ from the defaults.
      gpu_type: the accelerator: a resource of Kubernetes, or Vertex's name.
      labels: labels of pods, or of the Vertex job.
      volumes: `CLAIM:/path`, mounted into every task (open source only).
      trainer_workers: processes that train, in a TFJob; `None`: the Trainer's task trains (open source only).
      trainer_work: with workers, a folder of a volume that they share.
      cache: whether unchanged steps are taken from the cache.
    """

    declaration: Declaration
    output: Path
    image: str
    allow_tag: bool = False
    data_dir: str | None = None
    push_destination: str | None = None
    pipeline_root: str | None = None
    recurring: str | None = None
    root: str | None = None
    beam_args: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    gpu_type: str | None = None
    labels: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    trainer_workers: int | None = None
    trainer_work: str | None = None
    cache: bool = True

    @property
    def target(self) -> Target:
        """Which kind of cluster the output's suffix stands for."""
        return "vertex" if self.output.suffix == ".json" else "kubeflow"

    @property
    def pipeline_name(self) -> str:
        """As `create_pipeline` names it."""
        return f"dfei-{self.declaration.name}"


def check_request(request: CompileRequest) -> None:
    """Refuses what cannot compile or could not run.

    Raises:
      InputError: naming the option, what was expected and what was given.
    """
    if request.output.suffix not in (".yaml", ".yml", ".json"):
        raise InputError(
            f"--output {request.output}: expected FILE.yaml (open-source Kubeflow Pipelines) or FILE.json (Vertex)"
        )
    _check_image(request)
    if not _DATASET_NAME.fullmatch(request.declaration.name):
        raise InputError(
            f"the data set's name {request.declaration.name!r} cannot be a pipeline's name and a label: use lower-case "
            "letters, digits and - between them, at most 63, in the declaration's `name`"
        )
    _check_places(request)
    if request.recurring is not None:
        check_cron(request.recurring)
    elif request.root is not None:
        raise InputError("--root is of a feed that is made day by day: give --recurring, or leave it out")
    parse_labels(request.labels)
    if request.target == "vertex" and request.volumes:
        raise InputError("--volume: Vertex mounts buckets below /gcs and takes no volumes; leave it out")
    parse_volumes(request.volumes)
    _check_workers(request)


def _check_workers(request: CompileRequest) -> None:
    strategy = request.declaration.training.strategy
    if request.trainer_workers is None:
        if strategy == "multi_worker":
            raise InputError(
                "training.strategy is multi_worker, but a cluster starts one container for the Trainer: give "
                "--trainer-workers N, which makes a TFJob of them, or take training.strategy=mirrored with --resources "
                "Trainer:gpus=N"
            )
        if request.trainer_work is not None:
            raise InputError("--trainer-work is of --trainer-workers: give both, or neither")
        return
    if strategy != "multi_worker":
        raise InputError(
            f"--trainer-workers trains with training.strategy=multi_worker, not {strategy}: leave one out"
        )
    if request.target == "vertex":
        raise InputError("--trainer-workers: Vertex has no TFJob; take training.strategy=mirrored")
    if request.recurring is not None:
        raise InputError("--trainer-workers: a day's training has one process; leave out --recurring or this")
    if request.trainer_workers < 2:
        raise InputError(f"--trainer-workers {request.trainer_workers}: several workers are at least two")
    work = request.trainer_work
    paths = [path for _, path in parse_volumes(request.volumes)]
    if work is None or not any(work.startswith(f"{path.rstrip('/')}/") for path in paths):
        raise InputError(
            f"--trainer-work {work or '(missing)'}: expected a folder below a --volume, which all workers mount, such "
            f"as {paths[0].rstrip('/') if paths else '/data'}/training"
        )


def _check_image(request: CompileRequest) -> None:
    if _DIGEST.match(request.image):
        return
    if not request.allow_tag:
        raise InputError(
            f"--image {request.image}: expected NAME@sha256:<64 hex digits>: a tag can come to mean another image "
            "between two runs. `docker buildx imagetools inspect NAME:TAG` shows the digest; --allow-tag "
            "takes a tag"
        )
    if not _TAG.match(request.image):
        raise InputError(f"--image {request.image}: this is no image name")


def _check_places(request: CompileRequest) -> None:
    root = request.pipeline_root
    if request.target == "vertex":
        if root is None or not root.startswith("gs://"):
            raise InputError(f"--pipeline-root {root or '(missing)'}: Vertex needs a gs:// address")
    elif root is not None and not root.startswith(_STORES):
        raise InputError(f"--pipeline-root {root}: expected an address that begins with {', '.join(_STORES)}")
    for option, place in (
        ("--data", request.data_dir),
        ("--push-destination", request.push_destination),
        ("--root", request.root),
    ):
        if place is not None and not place.startswith(("/", "gs://")):
            raise InputError(
                f"{option} {place}: expected a gs:// address or the absolute path of a volume that the containers "
                "mount; paths of this machine mean nothing on a cluster"
            )


def check_cron(text: str) -> None:
    """Refuses what is no cron schedule of five fields.

    Raises:
      InputError: naming the field.
    """
    fields = text.split()
    if len(fields) != len(_CRON_RANGES):
        raise InputError(
            f"--recurring {text!r}: expected five fields (minute hour day month weekday), as in '30 3 * * *'; "
            f"found {len(fields)}"
        )
    for field, (low, high) in zip(fields, _CRON_RANGES, strict=True):
        for part in field.split(","):
            span, _, step = part.partition("/")
            numbers = [] if span == "*" else span.split("-")
            bad_step = step != "" and not (step.isdigit() and int(step) > 0)
            if (
                bad_step
                or len(numbers) > 2
                or not all(n.isdigit() and low <= int(n) <= high for n in numbers)
                or (len(numbers) == 2 and int(numbers[0]) > int(numbers[1]))
            ):
                raise InputError(
                    f"--recurring {text!r}: {part!r} is not *, a number from {low} to {high}, a range from the lower "
                    "to the higher one or a step"
                )


def parse_labels(labels: Sequence[str]) -> dict[str, str]:
    """`key=value` texts as a dictionary.

    Raises:
      InputError: a key or a value that Kubernetes or Vertex refuses.
    """
    parsed = {}
    for label in labels:
        key, equals, value = label.partition("=")
        if (
            not equals
            or not _LABEL.match(key)
            or not re.match(r"^[a-z0-9]([-a-z0-9_]{0,61}[a-z0-9])?$", value)
        ):
            raise InputError(
                f"--label {label}: expected key=value of lower-case letters, digits, - and _, at most 63 each"
            )
        parsed[key] = value
    return parsed


def parse_volumes(volumes: Sequence[str]) -> list[tuple[str, str]]:
    """`CLAIM:/path` texts as pairs.

    Raises:
      InputError: another form.
    """
    pairs = []
    for volume in volumes:
        match = _VOLUME.match(volume)
        if match is None:
            raise InputError(f"--volume {volume}: expected CLAIM:/path, as in impressions:/data")
        pairs.append((match["claim"], match["path"]))
    return pairs
