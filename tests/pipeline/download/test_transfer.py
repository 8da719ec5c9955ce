"""The transfer: broken connections, ranges, changed files, checksums, busy servers, several processes."""

from __future__ import annotations

import fcntl
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import InputError
from components.progress import Progress
from pipeline.datasets.download import download, download_release
from pipeline.datasets.download_releases import RELEASES
from tests.pipeline.commands.terminal import at_a_terminal
from tests.pipeline.download.server import ARCHIVE, CONTENT, LOG, Server, check, release


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
    for name, known in RELEASES.items():
        assert known.name == name
        assert known.url == f"https://zenodo.org/records/10439422/files/{known.folder}.tar.gz"
        assert re.fullmatch("[0-9a-f]{32}", known.md5)
        assert known.size is not None
        assert known.unpacked_size > 4 * known.size
