"""The fenced blocks of a page: what a reader would copy."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]
DOCS = HOUSE / "docs"
_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
      language: after the fence.
      notes: further words after it, such as `title=FILE`.
      text: what is inside.
    """

    language: str
    notes: dict[str, str]
    text: str


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found = []
    for language, notes, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        pairs = dict(word.split("=", 1) for word in notes.split())
        found.append(Block(language, pairs, text))
    return found


def commands(page: Path) -> list[str]:
    """The `dfei` commands of a page's shell blocks, continued lines joined."""
    text = "\n".join(block.text for block in blocks(page) if block.language == "sh").replace("\\\n", " ")
    return [" ".join(line.split()) for line in text.splitlines() if line.startswith("dfei ")]
