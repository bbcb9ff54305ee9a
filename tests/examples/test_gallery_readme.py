"""The gallery's README: a row for every example, with a thumbnail that is small.  What the times are is not tested."""

import importlib
import re
import struct

import pytest

from tests.examples.test_gallery import FOLDER, NAMES

MOST_BYTES, MOST_BYTES_IN_ALL, MOST_PIXELS = 15_000, 500_000, 240
README = (FOLDER / "README.md").read_text()
ROWS = re.findall(r"^\|.*\[`(\w+)`\]\((\w+)\.py\).*\|$", README, flags=re.MULTILINE)
PICTURES = sorted((FOLDER / "pictures").iterdir())


def test_every_example_has_a_row():
    assert ROWS == [(name, name) for name in NAMES]


def test_rows_show_thumbnails_of_all_that_draw():
    drawing = [name for name in NAMES if re.search(r"\nEXAMPLE = .*\bpicture\b", (FOLDER / f"{name}.py").read_text())]
    shown = re.findall(r"^\| !\[\]\(pictures/(\w+)\.png\) \| \[`(\w+)`\]", README, flags=re.MULTILINE)
    assert shown == [(name, name) for name in drawing]
    assert [path.name for path in PICTURES] == [f"{name}.png" for name in drawing]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_thumbnails_are_small(path):
    content = path.read_bytes()
    width, _ = struct.unpack(">II", content[16:24])  # of a PNG's header
    assert content.startswith(b"\x89PNG")
    assert 0 < width <= MOST_PIXELS
    assert len(content) <= MOST_BYTES


def test_all_thumbnails_together_are_small():
    assert sum(path.stat().st_size for path in PICTURES) < MOST_BYTES_IN_ALL


@pytest.fixture
def gallery(monkeypatch):
    """The script that writes the table."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("_gallery")


def test_table_is_written_between_the_markers(gallery):
    text = f"before {gallery.BEGIN} old {gallery.END} after"
    assert gallery.between_markers(text, "new") == f"before {gallery.BEGIN}\nnew\n{gallery.END} after"


def test_row_tells_what_was_measured(gallery):
    figures = {
        "name": "rnn",
        "title": "A network.",
        "step": "step",
        "steps": 2000,
        "quick": True,
        "per_step": {"interpreted": 2e-3, "compiled": 1e-4},
        "speed_up": 20.04,
        "total_speed_up": 9.5,
    }
    expected = "|  | [`rnn`](rnn.py) A network. (2,000 steps, quick run) | 2 ms | 100 us | 20.0 | 9.5 |"
    assert gallery.row(figures, None) == expected
    assert gallery.row(figures, FOLDER / "pictures" / "rnn.png").startswith("| ![](pictures/rnn.png) |")
