"""A local server that breaks off, lies, ignores ranges, changes its file, or is busy; and what it serves."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from pipeline.datasets.download import DownloadFacts
from pipeline.datasets.download_releases import RELEASES, Release

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
