"""Addresses of artifacts, and the folders in which a container finds them.

Kubeflow's launcher copies every input artifact from the object store to a folder of the pod before the command
starts, and every output from such a folder to the store after it has ended; Vertex mounts the buckets there. The
folder follows from the address: `gs://b/k` is `/gcs/b/k`, `minio://b/k` is `/minio/b/k`, `s3://b/k` is `/s3/b/k`.
Neither TensorFlow nor Beam knows `minio://`, and TensorFlow 2.16 knows no `s3://`: the components work on the folders.
"""

from __future__ import annotations

import os

MOUNTS = {"gs://": "gcs", "minio://": "minio", "s3://": "s3"}
ROOT_VARIABLE = "DFEI_MOUNT_ROOT"


def mount_root() -> str:
    """Below which folder the stores are mounted: `/`, unless `DFEI_MOUNT_ROOT` says otherwise."""
    return os.environ.get(ROOT_VARIABLE, "/").rstrip("/")


def to_local(address: str) -> str:
    """The folder of an address; an address of another kind (a path) as it is."""
    for scheme, folder in MOUNTS.items():
        if address.startswith(scheme):
            return f"{mount_root()}/{folder}/{address.removeprefix(scheme)}"
    return address


def to_address(path: str) -> str:
    """The address of a folder below a mount; any other path as it is."""
    for scheme, folder in MOUNTS.items():
        prefix = f"{mount_root()}/{folder}/"
        if path.startswith(prefix):
            return scheme + path.removeprefix(prefix)
    return path


def is_address(text: str) -> bool:
    """Whether the text names a store that is mounted."""
    return text.startswith(tuple(MOUNTS))
