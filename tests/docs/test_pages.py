"""The pages of `docs/` hold: links lead somewhere, commands and options exist, quoted messages are in the code."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from models.registry import MODELS
from pipeline.cli import app
from pipeline.reference.architecture import with_picture
from pipeline.reference.declaration import declaration_reference
from tests.docs.blocks import DOCS, HOUSE, blocks, commands

PAGES = [HOUSE / "README.md", *sorted(DOCS.rglob("*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http:", "https:")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor and found.suffix == ".md":
            assert anchor in _anchors(found), target


def test_the_readme_shows_what_comes_out_by_day_and_by_night() -> None:
    """The pipeline, a run's report and a comparison: two pictures each, made by `python -m tools.pictures`."""
    text = (HOUSE / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r'(?:srcset|src)="([^"]+)"', text)
    assert {Path(name).stem.rsplit("-", 1)[0] for name in shown} == {"pipeline", "report", "comparison"}
    for name in shown:
        assert (HOUSE / name).is_file(), name
    assert sorted(Path(name).stem.rsplit("-", 1)[1] for name in shown) == ["dark"] * 3 + ["light"] * 3


@pages
def test_no_page_names_a_folder_outside_the_project(page: Path) -> None:
    """A stranger has the clone alone."""
    assert "../shared" not in page.read_text(encoding="utf-8")


@pages
def test_commands_exist_with_their_options(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(command, comments=True)[1:]
        node: Any = get_command(app)
        while words and hasattr(node, "commands") and words[0] in node.commands:
            node = node.commands[words.pop(0)]
        assert not hasattr(node, "commands"), command
        options = {
            option for parameter in node.params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        for word in words:
            if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
                assert word.partition("=")[0] in {*options, "--help", "-h"}, f"{command}: {word}"


def test_the_index_and_the_readme_lead_to_every_page() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for page in [*DOCS.glob("*.md"), *DOCS.glob("*.ipynb")]:
        if page.name != "README.md":
            assert f"({page.name})" in index, page.name
    assert "(docs/README.md)" in (HOUSE / "README.md").read_text(encoding="utf-8")


def test_the_picture_of_the_architecture_is_the_codes_own() -> None:
    page = DOCS / "architecture.md"
    assert page.read_text(encoding="utf-8") == with_picture(page), "make docs remakes it"


def test_the_declarations_reference_is_up_to_date() -> None:
    """`make docs` writes it."""
    assert (DOCS / "declaration.md").read_text(encoding="utf-8") == declaration_reference()


def test_every_key_of_a_declaration_is_described() -> None:
    rows = re.findall(r"^\| (`.+)\|$", declaration_reference(), re.MULTILINE)
    assert len(rows) > 80
    assert [row for row in rows if not row.rpartition("|")[2].strip()] == []


def test_every_model_has_a_section_with_its_figure_equation_and_file() -> None:
    parts = re.split(r"^## ", (DOCS / "models.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = {part.partition("\n")[0].lower(): part for part in parts[1:]}
    for name in MODELS:
        part = sections[name]
        assert "```mermaid\nflowchart" in part, name
        assert "$$" in part, name
        assert f"models/{name}.py" in part, name
        assert len(part.split()) > 60, name


@cache
def _sources() -> str:
    """The code, with the seams of text that runs over several lines taken out."""
    parts = [
        path.read_text(encoding="utf-8")
        for folder in ("components", "pipeline", "models", "kubeflow")
        for path in sorted((HOUSE / folder).rglob("*.py"))
    ]
    text = "\n".join(parts)
    return re.sub(r'"\s*\n\s*f?"', "", text).replace("`", "")


def _messages() -> list[str]:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    first_cells = re.findall(r"^\| (`.+?) \|", text, re.MULTILINE)
    return [message for cell in first_cells for message in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.parametrize("message", _messages())
def test_a_message_that_is_explained_is_one_that_the_code_gives(message: str) -> None:
    assert message in _sources()


def test_many_messages_are_explained() -> None:
    assert len(_messages()) > 25


def test_figures_and_files_of_a_page_are_closed_blocks() -> None:
    for page in PAGES:
        assert page.read_text(encoding="utf-8").count("```") % 2 == 0
        assert all(block.text.strip() for block in blocks(page))
