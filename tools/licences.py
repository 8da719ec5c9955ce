"""Licences of all that is shipped, held against those that are allowed; part of `make sbom`.

What is shipped is what the image's lock of this stack names. A package says its licence by an SPDX expression, by
classifiers or in words; each word of it has to be allowed.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

HOUSE = Path(__file__).resolve().parent.parent
# Permissive ones, and those whose terms end at their own files (MPL).
ALLOWED = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "HPND", "ISC", "MIT", "MIT-0", "MIT-CMU"}
    | {"MPL-2.0", "PSF-2.0", "Unlicense", "0BSD", "Zlib", "CC0-1.0"}
)
# As classifiers and older packages put it.
WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_CONNECTED = re.compile(r"\s+(?:AND|OR|WITH)\s+")
# Package -> why it is allowed all the same.
EXCEPTIONS = {
    "namex": "Apache-2.0 in its source; its metadata says nothing",
    "setuptools": "MIT in its source; its metadata says nothing",
    "psycopg": "LGPL-3.0: a library that is imported as it is, and can be replaced",
    "psycopg-binary": "LGPL-3.0: as psycopg",
}


def _named(word: str) -> str:
    return WORDS.get(word.strip(), word.strip() if word.strip() in WORDS else word.strip("() "))


def licences(package: str) -> set[str]:
    """What a package says of itself; empty where it says nothing."""
    said = metadata.metadata(package)
    texts = [said.get("License-Expression") or ""]
    if not texts[0]:
        classifiers = said.get_all("Classifier") or []
        texts = [c.split("::")[-1].strip() for c in classifiers if c.startswith("License ::")]
        texts = [text for text in texts if text != "OSI Approved"]
    if not any(texts):
        texts = (said.get("License") or "").strip().splitlines()[:1]
    return {_named(word) for text in texts for word in _CONNECTED.split(text)}


def shipped() -> list[str]:
    """The packages of the image's lock for this Python."""
    lock = "requirements.txt" if sys.version_info < (3, 12) else "requirements-current.txt"
    text = (HOUSE / "kubeflow" / lock).read_text(encoding="utf-8")
    return re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==", text, re.MULTILINE)


def refused(packages: list[str]) -> dict[str, str]:
    """Package -> what it says, where that is not allowed. What another system alone installs is passed over."""
    found = {}
    for package in packages:
        try:
            said = licences(package)
        except metadata.PackageNotFoundError:
            continue
        if package not in EXCEPTIONS and (not said or said - ALLOWED):
            found[package] = ", ".join(sorted(said - ALLOWED)) or "nothing"
    return found


if __name__ == "__main__":
    packages = shipped()
    wrong = refused(packages)
    for name, said in wrong.items():
        print(f"error: {name}: its licence is not allowed: {said}", file=sys.stderr)
    print(f"{len(packages)} packages are shipped, {len(wrong)} of a licence that is not allowed")
    sys.exit(1 if wrong else 0)
