"""Unpacks an archive of plain files, trusting nothing that it says about where they go."""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from components.errors import InputError
from components.progress import Progress

_BLOCK = 1 << 20


def unpack(
    archive: Path, directory: Path, folder: str, listener: Callable[[Progress], None]
) -> dict[str, int]:
    """Writes the files below the archive's top folder into `directory`.

    Only directories and plain files are written, with the user's own permissions. The standard library's
    `data` filter, absent from early 3.10 and 3.11, is not needed for that.

    Args:
        archive: a gzipped tar file.
        directory: an empty directory.
        folder: the top folder of everything in the archive; it is left out of the paths.
        listener: hears how many bytes of the archive are read.

    Returns:
        The sizes in bytes of the files by their path relative to `directory`.

    Raises:
        InputError: the archive is damaged, or has a link, a device, or a path outside of `folder`.
    """
    files: dict[str, int] = {}
    size = archive.stat().st_size
    try:
        with (
            archive.open("rb") as raw,
            tarfile.open(fileobj=_Reported(raw, size, listener), mode="r|gz") as tar,
        ):
            for member in tar:
                path = _inside(member, archive, folder)
                if member.isdir():
                    directory.joinpath(*path.parts).mkdir(parents=True, exist_ok=True)
                    continue
                content = tar.extractfile(member)
                if content is None or not path.parts:
                    raise _unsafe(member, archive)
                target = directory.joinpath(*path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                files[path.as_posix()] = _copy(content, target)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(
            f"{archive}: not a readable tar.gz archive: {error}. Delete it and download again"
        ) from error
    if not files:
        raise InputError(f"{archive}: holds no file. Delete it and download again")
    return files


def _inside(member: tarfile.TarInfo, archive: Path, folder: str) -> PurePosixPath:
    path = PurePosixPath(member.name)
    parts = [part for part in path.parts if part != "."]
    plain = member.isfile() or member.isdir()
    if not plain or path.is_absolute() or ".." in parts or "\\" in member.name or parts[:1] != [folder]:
        raise _unsafe(member, archive)
    return PurePosixPath(*parts[1:])


def _unsafe(member: tarfile.TarInfo, archive: Path) -> InputError:
    return InputError(
        f"{archive}: refused to unpack {member.name!r}: only plain files within one folder are expected. Nothing "
        "was unpacked"
    )


def _copy(content: IO[bytes], target: Path) -> int:
    size = 0
    with target.open("xb") as file:
        while block := content.read(_BLOCK):
            size += file.write(block)
    return size


class _Reported(io.RawIOBase):
    """Reads through to a file and reports the position."""

    def __init__(self, raw: IO[bytes], size: int, listener: Callable[[Progress], None]):
        self._raw, self._size, self._listener = raw, size, listener

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        block = self._raw.read(size)
        self._listener(Progress("unpacking", self._raw.tell(), self._size, "bytes"))
        return block
