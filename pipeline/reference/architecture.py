"""The picture of docs/architecture.md: which folder imports which, read from the code itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import grimp

LAYERS = ("kubeflow", "pipeline", "components", "models")
BEGIN, END = "<!-- made by make docs: imports -->\n", "<!-- end of imports -->\n"


def import_graph() -> dict[str, set[str]]:
    """Folder -> folders that its files import.

    A folder is a package such as `components.trainer`; files that lie directly in a layer count as the layer.
    Imports of a layer's own loose files are left out: they are the ground that its folders stand on.
    """
    graph = grimp.build_graph(*LAYERS)
    found: dict[str, set[str]] = {}
    for module in sorted(graph.modules):
        folder = _folder(module, graph)
        imports = found.setdefault(folder, set())
        for imported in graph.find_modules_directly_imported_by(module):
            other = _folder(imported, graph)
            if other != folder and other != _layer(folder) and folder != _layer(other):
                imports.add(other)
    return found


def without_shortcuts(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same graph without the edges that a longer way implies (its transitive reduction).

    >>> without_shortcuts({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    {'a': {'b'}, 'b': {'c'}, 'c': set()}
    """
    reached: dict[str, set[str]] = {}

    def reach(node: str) -> set[str]:
        if node not in reached:
            reached[node] = set()
            reached[node] = set().union(*({other} | reach(other) for other in graph[node]))
        return reached[node]

    return {
        node: {one for one in others if not any(one in reach(other) for other in others)}
        for node, others in graph.items()
    }


def picture() -> str:
    """The graph as a Mermaid flowchart, one box a layer."""
    edges = without_shortcuts(import_graph())
    lines = ["```mermaid", "flowchart LR"]
    for layer in LAYERS:
        lines.append(f'  subgraph "{layer}/"')
        lines += [
            f'    {_id(folder)}["{_title(folder)}"]' for folder in sorted(edges) if _layer(folder) == layer
        ]
        lines.append("  end")
    lines += [f"  {_id(a)} --> {_id(b)}" for a in sorted(edges) for b in sorted(edges[a])]
    return "\n".join([*lines, "```"]) + "\n"


def with_picture(page: Path) -> str:
    """The page's text with the picture as the code has it now."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    return before + BEGIN + picture() + END + rest.split(END)[1]


def _folder(module: str, graph: grimp.ImportGraph) -> str:
    parts = module.split(".")[:2]
    return ".".join(parts) if len(parts) > 1 and graph.find_children(".".join(parts)) else parts[0]


def _layer(folder: str) -> str:
    return folder.partition(".")[0]


def _id(folder: str) -> str:
    return folder.replace(".", "_")


def _title(folder: str) -> str:
    layer, _, name = folder.partition(".")
    return name or f"{layer}/*.py"
