"""The notebook runs from top to bottom."""

from __future__ import annotations

import nbformat
from nbclient import NotebookClient

from tests.docs.blocks import DOCS


def test_the_notebook_runs_and_what_it_saved_is_what_it_read() -> None:
    notebook = nbformat.read(DOCS / "models.ipynb", 4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(DOCS)}}
    ).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    said = "\n".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "mlp: " in said
    assert "dfei: " in said
    assert cells[-1].outputs[-1]["data"]["text/plain"] in ("0.0", "np.float32(0.0)")
