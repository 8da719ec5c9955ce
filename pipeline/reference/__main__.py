"""Writes the pages of `docs/` that are made from the code."""

from __future__ import annotations

from pathlib import Path

from pipeline.reference.declaration import declaration_reference

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    """Writes `docs/declaration.md`."""
    page = DOCS / "declaration.md"
    page.write_text(declaration_reference(), encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
