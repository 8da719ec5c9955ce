"""One file over HTTP, continued after breaks: by the next attempt, and by the next process."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from components.errors import InputError
from components.progress import Progress

_REPORT_EVERY = 1 << 20
# Attempts in a row that bring no new byte, after which the server is given up.
_FRUITLESS_ATTEMPTS = 6
_ATTEMPTS = 200
_LONGEST_PAUSE_S = 60.0
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class _PassingError(Exception):
    """An attempt failed in a way that the next may not; `pause_s` is what the server asked for."""

    def __init__(self, reason: str, pause_s: float | None = None):
        super().__init__(reason)
        self.pause_s = pause_s


@dataclass
class _Part:
    """The bytes that are there, and what they are bytes of."""

    file: BinaryIO
    note: Path

    @property
    def size(self) -> int:
        return self.file.seek(0, os.SEEK_END)

    def restart(self) -> None:
        self.note.unlink(missing_ok=True)
        self.file.truncate(0)

    def remember(self, url: str, validator: str | None) -> None:
        self.note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def recall(self, url: str) -> tuple[bool, str | None]:
        """Whether the bytes are those of `url`, and the server's validator of them."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False, None
        if not isinstance(note, dict) or note.get("url") != url:
            return False, None
        validator = note.get("validator")
        return True, validator if isinstance(validator, str) else None


def fetch(
    client: httpx.Client,
    url: str,
    target: Path,
    size: int | None,
    listener: Callable[[Progress], None],
    pause: Callable[[float], None] | None = None,
) -> bool:
    """Downloads `url` into `target`, continuing what is already in it.

    A range is asked for only with the validator (ETag or date) under which the bytes so far were sent, so a file
    that changed meanwhile starts anew, as it does when the server ignores ranges. Broken connections and the
    passing server errors (408, 425, 429, 5xx) are tried again with growing pauses.

    Args:
        client: the HTTP client.
        url: address of the file.
        target: file with the bytes so far, possibly absent; a `.note` file lies beside it.
        size: expected size in bytes; None when not known.
        listener: hears how many bytes are there.
        pause: waits for some seconds; `time.sleep` when None.

    `discard` removes both files.

    Returns:
        Whether bytes of an earlier attempt were kept.

    Raises:
        InputError: the server refuses or stays silent, the size is wrong, the disk is full, or another process
            is downloading the same file.
    """
    with _opened(target) as part:
        most, fruitless, kept = part.size, 0, False
        for _ in range(_ATTEMPTS):
            try:
                kept = _attempt(client, url, part, size, listener) or kept
            except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.TooManyRedirects) as error:
                raise InputError(f"{url}: cannot be asked for: {error}. Check the address") from error
            except (httpx.TransportError, _PassingError) as error:
                reached = part.size
                fruitless = 0 if reached > most else fruitless + 1
                most = max(most, reached)
                reason = str(error) or type(error).__name__
                if fruitless >= _FRUITLESS_ATTEMPTS:
                    raise InputError(
                        f"{url}: gave up after {fruitless} fruitless attempts: {reason}. "
                        f"{reached:,} bytes are kept: the same command continues there"
                    ) from error
                listener(Progress("waiting for the server", reached, size, "bytes", reason))
                asked = error.pause_s if isinstance(error, _PassingError) else None
                seconds = asked if asked is not None else float(2**fruitless) / 2
                (pause or time.sleep)(min(_LONGEST_PAUSE_S, seconds))
            except OSError as error:
                raise _disk_error(target, error) from error
            else:
                return kept
        raise InputError(f"{url}: broke off {_ATTEMPTS} times; {part.size:,} bytes are kept. Try again later")


def _attempt(
    client: httpx.Client, url: str, part: _Part, size: int | None, listener: Callable[[Progress], None]
) -> bool:
    """One request; returns whether it continued earlier bytes."""
    have = part.size
    ours, validator = part.recall(url)
    if have and (not ours or (size is not None and have > size)):
        part.restart()
        have = 0
    if have and have == size:
        return True
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator is not None:
            headers["If-Range"] = validator
    with client.stream("GET", url, headers=headers) as response:
        total = _accept(response, url, part, have)
        if total is not None and size is not None and total != size:
            part.restart()
            raise InputError(
                f"{url}: the server has a file of {total:,} bytes, the release has {size:,}: not the same file"
            )
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True
        continued = response.status_code == httpx.codes.PARTIAL_CONTENT
        if not continued:
            part.restart()
        part.remember(url, _validator(response))
        expected = size if total is None else total
        _receive(response, part, expected, listener)
    part.file.flush()
    os.fsync(part.file.fileno())
    if expected is not None and part.size < expected:
        raise _PassingError(f"the connection ended at byte {part.size:,} of {expected:,}")
    if expected is not None and part.size > expected:
        part.restart()
        raise _PassingError(f"the server sent more than {expected:,} bytes")
    return continued


def _receive(
    response: httpx.Response, part: _Part, expected: int | None, listener: Callable[[Progress], None]
) -> None:
    # Blocks as they come off the network: gathering larger ones would lose the last one when it breaks off.
    done = reported = part.size
    for block in response.iter_raw():
        done += part.file.write(block)
        if done - reported >= _REPORT_EVERY:
            reported = done
            listener(Progress("downloading", done, expected, "bytes"))
    listener(Progress("downloading", done, expected, "bytes"))


def _accept(response: httpx.Response, url: str, part: _Part, have: int) -> int | None:
    """The size of the whole file according to an answer that can be used; raises on any other."""
    status = response.status_code
    if status in _PASSING_STATUS:
        raise _PassingError(f"the server answered {status} {response.reason_phrase}", _retry_after(response))
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    total = int(found[3]) if found and found[3] != "*" else None
    if status == httpx.codes.PARTIAL_CONTENT:
        if not found or found[1] is None or int(found[1]) != have:
            part.restart()
            raise _PassingError("the server sent another range than asked for")
        return total
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
        if total != have:
            part.restart()
            raise _PassingError("the server's file is shorter than what is here")
        return total
    if status != httpx.codes.OK:
        raise InputError(
            f"{url}: the server answered {status} {response.reason_phrase}. Check the address, or name a mirror"
        )
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _validator(response: httpx.Response) -> str | None:
    """What `If-Range` may quote: a strong ETag, else the date of the last change."""
    tag = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return str(tag)
    changed = response.headers.get("Last-Modified")
    return str(changed) if changed else None


def _retry_after(response: httpx.Response) -> float | None:
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdigit() else None


def discard(target: Path) -> None:
    """Removes what `fetch` left of a file."""
    target.unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.note")


@contextmanager
def _opened(target: Path) -> Iterator[_Part]:
    try:
        with target.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            part = _Part(file, _note(target))
            try:
                yield part
            finally:
                if not part.size:
                    discard(target)
    except BlockingIOError as error:
        raise InputError(f"{target}: another process is downloading it; wait for it to end") from error
    except OSError as error:
        raise _disk_error(target, error) from error


def _disk_error(target: Path, error: OSError) -> InputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(
            f"{target}: the disk is full. Free some space; the same command continues where it stopped"
        )
    return InputError(f"{target}: cannot be written: {error.strerror or error}")
