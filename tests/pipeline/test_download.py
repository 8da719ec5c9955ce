"""The download against a local server that breaks off, lies, ignores ranges, changes its file, or is busy."""

from __future__ import annotations

import fcntl
import hashlib
import io
import re
import shutil
import tarfile
import threading
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from components.errors import InputError
from components.progress import Progress
from pipeline.datasets import download_transfer
from pipeline.datasets.download import RECORD, DownloadFacts, download, download_release
from pipeline.datasets.download_releases import RELEASES, Release
from tests.pipeline.commands.terminal import at_a_terminal

LOG = "data/log_standard_4_22_to_5_08_pure.csv"


def pack(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# Random bytes do not compress: an archive of several blocks.
CONTENT = np.random.default_rng(0).bytes(3_000_000)
ARCHIVE = pack({f"KuaiRand-Pure/{LOG}": CONTENT, "KuaiRand-Pure/load_data_pure.py": b"import pandas\n"})


@dataclass
class Script:
    """What the server does: one entry of `breaks` or `statuses` per request, then it behaves."""

    body: bytes = ARCHIVE
    breaks: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    tag: str | None = '"v1"'
    if_range: bool = True
    retry_after: str | None = None
    length: bool = True
    shift: int = 0
    requests: list[dict[str, str]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        script = self.server.script
        script.requests.append(dict(self.headers.items()))
        self.close_connection = True
        if self.path != "/files/KuaiRand-Pure.tar.gz":
            self.send_error(404)
            return
        if script.statuses:
            self.send_response(script.statuses.pop(0))
            self.send_header("Content-Length", "0")
            if script.retry_after is not None:
                self.send_header("Retry-After", script.retry_after)
            self.end_headers()
            return
        body, start = script.body, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = not script.if_range or self.headers.get("If-Range") in (None, script.tag)
        if asked and script.ranges and same:
            start = int(asked[1]) + script.shift
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if script.tag is not None:
            self.send_header("ETag", script.tag)
        if script.length:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        stop = script.breaks.pop(0) if script.breaks else None
        self.wfile.write(body[start : len(body) if stop is None else start + stop])

    def log_message(self, format: str, *args: object) -> None:
        """Keeps the test output clean."""


class Server(ThreadingHTTPServer):
    script: Script

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.script = Script()
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(download_transfer.time, "sleep", waited.append)
    return waited


def release(server: Server, archive: bytes = ARCHIVE) -> Release:
    return replace(
        RELEASES["kuairand-pure"],
        base_url=server.url,
        md5=hashlib.md5(archive).hexdigest(),
        size=len(archive),
        unpacked_size=4_000_000,
    )


def check(facts: DownloadFacts, directory: Path) -> None:
    assert facts.data == directory / "KuaiRand-Pure"
    assert (facts.data / LOG).read_bytes() == CONTENT
    assert facts.files == {LOG: len(CONTENT), "load_data_pure.py": 14}
    assert [path.name for path in directory.iterdir()] == ["KuaiRand-Pure"]


def test_downloads_verifies_unpacks_and_shows_the_licence(server: Server, tmp_path: Path) -> None:
    reports: list[Progress] = []
    facts = download_release(release(server), tmp_path / "new", progress=reports.append)
    check(facts, tmp_path / "new")
    assert (facts.resumed, facts.reused) == (False, False)
    assert "CC BY-SA 4.0" in facts.licence
    assert "CIKM 2022" in facts.licence
    for step in ("downloading", "verifying", "unpacking"):
        done = [report.done for report in reports if report.step == step]
        assert done == sorted(done), step
        assert done[-1] == len(ARCHIVE), step
    assert {report.total for report in reports} == {len(ARCHIVE)}
    assert "Range" not in server.script.requests[0]


def test_what_is_there_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    first = download_release(release(server), tmp_path)
    again = download_release(release(server), tmp_path)
    assert again == replace(first, reused=True)
    assert len(server.script.requests) == 1


def test_broken_connections_are_continued(server: Server, tmp_path: Path, pauses: list[float]) -> None:
    server.script.breaks = [1_200_000, 0, 900_000, None]
    check(download_release(release(server), tmp_path), tmp_path)
    asked = [request.get("Range") for request in server.script.requests]
    assert asked == [None, "bytes=1200000-", "bytes=1200000-", "bytes=2100000-"]
    assert [request.get("If-Range") for request in server.script.requests] == [None, '"v1"', '"v1"', '"v1"']
    assert pauses == [0.5, 1.0, 0.5]


def test_the_next_call_continues_what_an_interrupt_left(server: Server, tmp_path: Path) -> None:
    def interrupt(report: Progress) -> None:
        if report.done >= 1 << 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_release(release(server), tmp_path, progress=interrupt)
    kept = (tmp_path / ".KuaiRand-Pure.tar.gz.partial").stat().st_size
    assert kept >= 1 << 20
    facts = download_release(release(server), tmp_path)
    check(facts, tmp_path)
    assert facts.resumed
    assert server.script.requests[1]["Range"] == f"bytes={kept}-"


@pytest.mark.parametrize("step", ["verifying", "unpacking"])
def test_an_interrupt_after_the_last_byte_costs_no_second_download(
    server: Server, tmp_path: Path, step: str
) -> None:
    def interrupt(report: Progress) -> None:
        if report.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download_release(release(server), tmp_path, progress=interrupt)
    assert not (tmp_path / "KuaiRand-Pure").exists()
    check(download_release(release(server), tmp_path), tmp_path)
    assert len(server.script.requests) == 1


def test_a_complete_archive_of_unknown_size_is_recognised_by_the_server(
    server: Server, tmp_path: Path
) -> None:
    def interrupt(report: Progress) -> None:
        if report.step == "unpacking":
            raise KeyboardInterrupt

    unsized = replace(release(server), size=None)
    with pytest.raises(KeyboardInterrupt):
        download_release(unsized, tmp_path, progress=interrupt)
    facts = download_release(unsized, tmp_path)
    check(facts, tmp_path)
    assert facts.resumed
    assert server.script.requests[1]["Range"] == f"bytes={len(ARCHIVE)}-"


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.script.ranges = False
    server.script.breaks = [1_500_000, None]
    facts = download_release(release(server), tmp_path)
    check(facts, tmp_path)
    assert not facts.resumed
    assert server.script.requests[1]["Range"] == "bytes=1500000-"


def test_a_server_without_ranges_or_length(server: Server, tmp_path: Path) -> None:
    server.script.ranges = server.script.length = False
    server.script.breaks = [1_500_000, None]
    check(download_release(release(server), tmp_path), tmp_path)
    assert len(server.script.requests) == 2


def test_a_file_that_changed_starts_anew(server: Server, tmp_path: Path) -> None:
    old = bytes(len(ARCHIVE))
    server.script.body, server.script.tag, server.script.breaks = old, '"old"', [2_000_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(InputError, match="gave up after 6 fruitless attempts"):
        download_release(release(server), tmp_path)
    server.script.body, server.script.tag, server.script.breaks = ARCHIVE, '"new"', []
    facts = download_release(release(server), tmp_path)
    check(facts, tmp_path)
    assert not facts.resumed
    assert server.script.requests[-1]["If-Range"] == '"old"'


@pytest.mark.parametrize("tag", [None, 'W/"weak"'])
def test_a_change_that_no_validator_shows_is_found_by_the_checksum(
    server: Server, tmp_path: Path, tag: str | None
) -> None:
    """The continued file is a mixture; it is fetched once more, whole."""
    server.script.tag = tag
    server.script.body, server.script.breaks = bytes(len(ARCHIVE)), [2_000_000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(InputError, match="2,000,000 bytes are kept: the same command continues there"):
        download_release(release(server), tmp_path)
    server.script.body, server.script.breaks = ARCHIVE, []
    before = len(server.script.requests)
    check(download_release(release(server), tmp_path), tmp_path)
    last = server.script.requests[before:]
    assert [request.get("Range") for request in last] == ["bytes=2000000-", None]
    assert "If-Range" not in last[0]


def test_another_range_than_asked_for_is_not_used(server: Server, tmp_path: Path) -> None:
    server.script.shift = 7
    server.script.breaks = [1_000_000]
    check(download_release(release(server), tmp_path), tmp_path)
    assert [request.get("Range") for request in server.script.requests] == [None, "bytes=1000000-", None]


def test_wrong_bytes_are_removed(server: Server, tmp_path: Path) -> None:
    wrong = bytearray(ARCHIVE)
    wrong[1_000] ^= 1
    server.script.body = bytes(wrong)
    expected = hashlib.md5(ARCHIVE).hexdigest()
    with pytest.raises(
        InputError, match=rf"has the MD5 checksum {hashlib.md5(wrong).hexdigest()}, expected {expected}"
    ):
        download_release(release(server), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_size_is_not_even_read(server: Server, tmp_path: Path) -> None:
    server.script.body = b"<html>Please log in</html>"
    with pytest.raises(
        InputError, match=r"the server has a file of 26 bytes, the release has 3,0\d\d,\d\d\d"
    ):
        download_release(release(server), tmp_path)
    assert not list(tmp_path.iterdir())


def test_not_found(server: Server, tmp_path: Path, pauses: list[float]) -> None:
    with pytest.raises(
        InputError, match=r"elsewhere/KuaiRand-Pure\.tar\.gz: the server answered 404 Not Found"
    ):
        download_release(replace(release(server), base_url=f"{server.url}/elsewhere"), tmp_path)
    assert pauses == []
    assert not list(tmp_path.iterdir())


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path, pauses: list[float]) -> None:
    server.script.statuses = [503, 500, 429]
    check(download_release(release(server), tmp_path), tmp_path)
    assert pauses == [1.0, 2.0, 4.0]


def test_a_server_that_names_a_pause_gets_it_up_to_a_minute(
    server: Server, tmp_path: Path, pauses: list[float]
) -> None:
    server.script.statuses, server.script.retry_after = [429], "7"
    check(download_release(release(server), tmp_path / "a"), tmp_path / "a")
    server.script.statuses, server.script.retry_after = [503], "3600"
    check(download_release(release(server), tmp_path / "b"), tmp_path / "b")
    assert pauses == [7.0, 60.0]


def test_nobody_answers(server: Server, tmp_path: Path, pauses: list[float]) -> None:
    reports: list[Progress] = []
    with pytest.raises(InputError, match=r"gave up after 6 fruitless attempts: .*refused"):
        download_release(
            replace(release(server), base_url="http://127.0.0.1:9"), tmp_path, progress=reports.append
        )
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert all(report.step == "waiting for the server" and "refused" in report.note for report in reports)
    assert not list(tmp_path.iterdir())


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


def test_two_processes_do_not_write_one_file(server: Server, tmp_path: Path) -> None:
    with (tmp_path / ".KuaiRand-Pure.tar.gz.partial").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process is downloading it"):
            download_release(release(server), tmp_path)
    assert server.script.requests == []


def test_a_mirror_and_its_checksum(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the server has a file of .* bytes, the release has 47,432,272"):
        download("kuairand-pure", tmp_path, base_url=server.url)
    facts = download(
        "kuairand-pure", tmp_path, base_url=server.url, md5=hashlib.md5(ARCHIVE).hexdigest().upper()
    )
    check(facts, tmp_path)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kuairand-27k", {}, "'kuairand-27k' is not one of kuairand-pure, kuairand-1k"),
        ("kuairand-1k", {"base_url": "ftp://mirror"}, "expected an http:// or https:// address"),
        ("kuairand-1k", {"md5": "123"}, "32 hexadecimal digits, got '123'"),
    ],
)
def test_wrong_arguments(tmp_path: Path, name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        download(name, tmp_path, **options)  # type: ignore[arg-type]


def test_at_a_terminal_the_licence_and_a_bar_are_shown(server: Server, tmp_path: Path) -> None:
    digest = hashlib.md5(ARCHIVE).hexdigest()
    arguments = [
        "dataset",
        "download",
        "kuairand-pure",
        str(tmp_path),
        "--base-url",
        server.url,
        "--md5",
        digest,
    ]
    shown = at_a_terminal(*arguments, environment={"NO_PROXY": "127.0.0.1"})
    assert shown.code == 0, shown.text
    assert "CC BY-SA 4.0" in shown.text
    assert re.search(r"(downloading|verifying|unpacking).*MB", shown.text)
    assert f"2 files in {tmp_path / 'KuaiRand-Pure'}" in shown.text.replace("\r\n", "")
    assert (tmp_path / "KuaiRand-Pure" / LOG).read_bytes() == CONTENT


def test_the_releases_are_those_of_the_record() -> None:
    for name, release in RELEASES.items():
        assert release.name == name
        assert release.url == f"https://zenodo.org/records/10439422/files/{release.folder}.tar.gz"
        assert re.fullmatch("[0-9a-f]{32}", release.md5)
        assert release.size is not None
        assert release.unpacked_size > 4 * release.size
