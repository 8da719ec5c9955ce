"""Fetches a public release of KuaiRand: resumed after a break, verified, unpacked as a whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx

from components.errors import InputError
from components.progress import Progress
from pipeline.datasets.download_releases import Release, find_release
from pipeline.datasets.download_transfer import discard, fetch
from pipeline.datasets.download_unpack import unpack
from pipeline.simulate.directory import require_space, written_whole

# Beside the unpacked files: which archive they came from, and under which licence they may be used.
RECORD = "download.json"

_TIMEOUT = httpx.Timeout(60.0, connect=20.0)
_BLOCK = 1 << 20

Listener = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True)
class DownloadFacts:
    """What `download` leaves.

    Attributes:
        data: the folder to hand to `dfei run --data`.
        files: the unpacked files with their sizes in bytes, relative to `data`.
        licence: licence, authors and source, to be shown.
        resumed: whether an earlier, broken download was continued.
        reused: whether everything was there already.
    """

    data: Path
    files: dict[str, int]
    licence: str
    resumed: bool
    reused: bool


def download(
    name: str,
    directory: Path,
    *,
    base_url: str | None = None,
    md5: str | None = None,
    progress: Listener | None = None,
) -> DownloadFacts:
    """Downloads and unpacks a public release into a folder of its own in `directory`.

    A broken download is continued where it broke, by the next attempt or by the next call. The archive is
    verified before it is unpacked, and removed afterwards.

    Args:
        name: `kuairand-pure` or `kuairand-1k`.
        directory: where the release's folder (`KuaiRand-Pure`, `KuaiRand-1K`) is created.
        base_url: a mirror's folder with the archive, in place of the public release.
        md5: checksum of the archive, for a mirror that packs the files otherwise; that of the release when None.
        progress: listens to bytes downloaded, checked and unpacked.

    Raises:
        InputError: the name is unknown, the directory is in use or cannot be written, the disk is too small, the
            server does not have the archive or stays silent, or the archive is not the one of the release.
    """
    release = find_release(name)
    if base_url is not None:
        if not base_url.startswith(("http://", "https://")):
            raise InputError(f"dataset download: expected an http:// or https:// address, got {base_url!r}")
        release = dataclasses.replace(release, base_url=base_url)
    if md5 is not None and not re.fullmatch("[0-9a-fA-F]{32}", md5):
        raise InputError(f"dataset download: an MD5 checksum has 32 hexadecimal digits, got {md5!r}")
    if md5 is not None and md5.lower() != release.md5:
        # Another packing: neither its size is known, nor how much it unpacks to.
        release = dataclasses.replace(release, md5=md5.lower(), size=None, unpacked_size=0)
    return download_release(release, directory, progress=progress)


def download_release(release: Release, directory: Path, *, progress: Listener | None = None) -> DownloadFacts:
    """`download` of a described release."""
    listener: Listener = progress or (lambda report: None)
    data = directory / release.folder
    found = _find_unpacked(release, data)
    if found is not None:
        return DownloadFacts(data, found, release.notice, resumed=False, reused=True)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory}: cannot be created: {error.strerror}") from error
    archive = directory / f".{release.archive}.partial"
    present = archive.stat().st_size if archive.exists() else 0
    to_come = max(0, (release.size or 0) - present)
    require_space(directory, to_come + release.unpacked_size, f"{release.name} with its archive")
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True, headers={"User-Agent": "dfei"}) as client:
        resumed = _fetch_verified(client, release, archive, listener)
    with written_whole(data) as partial:
        files = unpack(archive, partial, release.folder, listener)
        record = {
            "release": release.name,
            "url": release.url,
            "md5": release.md5,
            "licence": release.notice,
            "files": files,
        }
        (partial / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    discard(archive)
    return DownloadFacts(data, files, release.notice, resumed=resumed, reused=False)


def _fetch_verified(client: httpx.Client, release: Release, archive: Path, listener: Listener) -> bool:
    """Fetches until the checksum is right; a continued download that is wrong is fetched once more, whole."""
    resumed = fetch(client, release.url, archive, release.size, listener)
    digest = _md5(archive, listener)
    if digest != release.md5 and resumed:
        discard(archive)
        resumed = fetch(client, release.url, archive, release.size, listener)
        digest = _md5(archive, listener)
    if digest != release.md5:
        discard(archive)
        raise InputError(
            f"{release.url}: the archive has the MD5 checksum {digest}, expected {release.md5}: these are not the "
            "bytes of the release. It was removed; try again, or from another source"
        )
    return resumed


def _md5(path: Path, listener: Listener) -> str:
    state = hashlib.md5(usedforsecurity=False)
    size, done = path.stat().st_size, 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
            done += len(block)
            listener(Progress("verifying", done, size, "bytes"))
    return state.hexdigest()


def _find_unpacked(release: Release, data: Path) -> dict[str, int] | None:
    """The files of the release that an earlier call unpacked; None when there are none yet.

    Raises:
        InputError: the folder holds something else, or no longer all that was unpacked.
    """
    if not data.exists() or (data.is_dir() and next(data.iterdir(), None) is None):
        return None
    try:
        record = json.loads((data / RECORD).read_text(encoding="utf-8"))
        digest, files = str(record["md5"]), {str(name): int(size) for name, size in record["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{data}: exists and was not made by a download. If it is {release.folder}, use it as it is "
            f"(--data {data}); else choose another directory"
        ) from error
    if digest != release.md5:
        raise InputError(
            f"{data}: was unpacked from another archive (MD5 {digest}, wanted {release.md5}). Delete it or choose "
            "another directory"
        )
    for name, size in files.items():
        path = data / name
        if not path.is_file() or path.stat().st_size != size:
            raise InputError(
                f"{path}: missing or changed since it was unpacked (expected {size} bytes). Delete {data} and "
                "download again"
            )
    return files
