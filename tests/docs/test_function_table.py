"""docs/functions.md is what the registry says, and every differentiable function has both modes."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def load():
    spec = importlib.util.spec_from_file_location("function_table", DOCS / "function_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_up_to_date():
    function_table = load()
    kept = [line for line in function_table.table().splitlines() if "| `" in line and "`numpy." in line]
    written = (DOCS / "functions.md").read_text()
    assert kept and all(line in written for line in kept)


def test_forward_mode_exists_wherever_reverse_does():
    function_table = load()
    rows = [line.split(" | ") for line in function_table.table().splitlines() if line.startswith("| `")]
    lacking = [row[0] for row in rows if (row[2] == "yes") != (row[3] == "yes")]
    assert lacking == []
