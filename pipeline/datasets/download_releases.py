"""The public releases that can be downloaded."""

from __future__ import annotations

from dataclasses import dataclass

from components.errors import InputError

_LICENCE = (
    "Licence: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0), "
    "https://creativecommons.org/licenses/by-sa/4.0/\n"
    "Authors: Gao, Li, Zhang, Chen, Li, Lei, Jiang, He: KuaiRand: An Unbiased Sequential Recommendation Dataset "
    "with Randomly Exposed Videos, CIKM 2022, https://doi.org/10.1145/3511808.3557624"
)


@dataclass(frozen=True)
class Release:
    """A published archive.

    Attributes:
        name: as on the command line.
        folder: top folder in the archive, and of the unpacked files.
        archive: file name of the archive.
        base_url: where the archive lies.
        md5: checksum of the archive, as published.
        size: bytes of the archive; None when not known.
        unpacked_size: bytes of the files in it, rounded up.
    """

    name: str
    folder: str
    archive: str
    base_url: str
    md5: str
    size: int | None
    unpacked_size: int

    @property
    def url(self) -> str:
        return f"{self.base_url.rstrip('/')}/{self.archive}"

    @property
    def notice(self) -> str:
        """Licence, authors and source, to be shown to whoever downloads."""
        return f"{self.folder}\n{_LICENCE}\nSource: {self.url}"


# Checksums: the Zenodo record and the authors' README (github.com/chongminggao/KuaiRand); sizes: the record.
_ZENODO = "https://zenodo.org/records/10439422/files"
RELEASES = {
    release.name: release
    for release in (
        Release(
            name="kuairand-pure",
            folder="KuaiRand-Pure",
            archive="KuaiRand-Pure.tar.gz",
            base_url=_ZENODO,
            md5="0820331067a3784d9691136f772b35a7",
            size=47_432_272,
            unpacked_size=210_000_000,
        ),
        Release(
            name="kuairand-1k",
            folder="KuaiRand-1K",
            archive="KuaiRand-1K.tar.gz",
            base_url=_ZENODO,
            md5="6b0b9c8222d67fcd4c676218edca3f1f",
            size=1_135_436_720,
            unpacked_size=4_800_000_000,
        ),
    )
}


def find_release(name: str) -> Release:
    """The release of a name.

    Raises:
        InputError: there is none.
    """
    try:
        return RELEASES[name]
    except KeyError as error:
        raise InputError(f"dataset download: {name!r} is not one of {', '.join(RELEASES)}") from error
