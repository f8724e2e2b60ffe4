"""Every cell of the notebook in docs/ runs, and shows what it says."""

import ast
import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def run(source, names):
    """Runs a cell; gives what its last expression is, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_the_notebook_runs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names, shown = {}, []
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "results are not kept in the repository"
            shown.append(run("".join(cell["source"]), names))
    assert any(hasattr(value, "_repr_svg_") for value in shown)
    assert sum(hasattr(value, "_repr_html_") and "holds" in value._repr_html_() for value in shown) == 2
