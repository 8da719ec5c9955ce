"""The archive: evil paths, links, damage; and what lies where it is to be unpacked."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import InputError
from pipeline.datasets.download import RECORD, download_release
from tests.pipeline.download.server import ARCHIVE, LOG, Server, pack, release


@pytest.mark.parametrize(
    "evil",
    ["KuaiRand-Pure/../../evil.csv", "/evil.csv", "evil.csv", "KuaiRand-Pure", "KuaiRand-Pure/..\\evil.csv"],
)
def test_paths_outside_of_the_folder_are_refused(server: Server, tmp_path: Path, evil: str) -> None:
    archive = pack({f"KuaiRand-Pure/{LOG}": b"a", evil: b"evil"})
    server.script.body = archive
    with pytest.raises(InputError, match=r"refused to unpack '.*': only plain files within one folder"):
        download_release(release(server, archive), tmp_path / "target")
    assert not (tmp_path / "target" / "KuaiRand-Pure").exists()
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(server: Server, tmp_path: Path, kind: bytes) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("KuaiRand-Pure/data")
        info.type, info.linkname = kind, "/etc"
        tar.addfile(info)
    server.script.body = buffer.getvalue()
    with pytest.raises(InputError, match="refused to unpack 'KuaiRand-Pure/data'"):
        download_release(release(server, buffer.getvalue()), tmp_path)
    assert not (tmp_path / "KuaiRand-Pure").exists()


@pytest.mark.parametrize(
    "archive",
    [b"no archive at all", ARCHIVE[:2_000_000], pack({})],
    ids=["no-archive", "half-an-archive", "an-empty-archive"],  # a gzip holds its time: no id
)
def test_what_is_no_whole_archive(server: Server, tmp_path: Path, archive: bytes) -> None:
    server.script.body = archive
    with pytest.raises(InputError, match=r"not a readable tar\.gz archive|holds no file"):
        download_release(release(server, archive), tmp_path)
    assert not (tmp_path / "KuaiRand-Pure").exists()


def test_a_folder_of_ones_own_is_left_alone(server: Server, tmp_path: Path) -> None:
    own = tmp_path / "KuaiRand-Pure" / LOG
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(InputError, match="exists and was not made by a download"):
        download_release(release(server), tmp_path)
    assert own.read_text() == "mine"
    assert server.script.requests == []


def test_a_release_with_a_lost_file_or_from_another_archive_is_not_reused(
    server: Server, tmp_path: Path
) -> None:
    facts = download_release(release(server), tmp_path)
    with pytest.raises(InputError, match="was unpacked from another archive"):
        download_release(replace(release(server), md5="0" * 32), tmp_path)
    (facts.data / LOG).write_text("short")
    with pytest.raises(InputError, match="missing or changed since it was unpacked"):
        download_release(release(server), tmp_path)
    assert (facts.data / RECORD).exists()


def test_too_small_a_disk_is_found_before(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage(10**9, 0, 6_900_000))
    with pytest.raises(
        InputError, match="kuairand-pure with its archive needs 7 MB and the disk has 7 MB left"
    ):
        download_release(release(server), tmp_path)
    assert server.script.requests == []
