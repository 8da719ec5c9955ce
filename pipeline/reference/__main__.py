"""Writes the pages of `docs/` that are made from the code."""

from __future__ import annotations

from pathlib import Path

from pipeline.reference.architecture import with_picture
from pipeline.reference.declaration import declaration_reference

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    """Writes `docs/declaration.md`, and the picture in `docs/architecture.md`."""
    pages = {
        "declaration.md": declaration_reference(),
        "architecture.md": with_picture(DOCS / "architecture.md"),
    }
    for name, text in pages.items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name)


if __name__ == "__main__":
    main()
