"""Every block of Python in the tutorial runs, in order, and prints what the page says that it prints."""

from __future__ import annotations

import doctest
import linecache
import re
import sys
import types
from pathlib import Path

import pytest

from autograd_jit.known_programs import registry, registry_lock

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "tutorial").glob("*.md"))
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


#: pages show what happens by default
pytestmark = pytest.mark.in_background


def blocks(page: Path) -> list[tuple[str, int]]:
    """The source of each Python block of a page, with the number of lines above it."""
    text = page.read_text()
    return [(match[1], text.count("\n", 0, match.start(1))) for match in FENCE.finditer(text)]


def run_examples(source: str, page: Path, above: int, names: dict) -> None:
    """A block with prompts: what it prints is compared."""
    test = doctest.DocTestParser().get_doctest(source, names, page.stem, str(page), above)
    test.globs = names  # the parser gives a copy, which later blocks would not see
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    runner.run(test, out=report.append, clear_globs=False)
    assert runner.failures == 0, "".join(report)


def run_plain(source: str, page: Path, above: int, names: dict) -> None:
    """A block without prompts, compiled so that errors and `explain()` name the page and its line."""
    exec(compile("\n" * above + source, str(page), "exec"), names)


def run_page(page: Path, module: types.ModuleType) -> None:
    linecache.checkcache(str(page))
    for source, above in blocks(page):
        run = run_examples if source.lstrip().startswith(">>>") else run_plain
        run(source, page, above, module.__dict__)


@pytest.fixture
def module(request, monkeypatch, tmp_path):
    """What a page's code runs in: a module that can be found by its name, as pickles need, in a folder of its own."""
    made = types.ModuleType(f"tutorial_{request.param.stem}")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.chdir(tmp_path)
    with registry_lock:  # pages count traces: none may come from a program of another test
        registry.clear()
    return made


def _case(page):
    marks = [pytest.mark.cpu] if page.stem in ("explain", "jit") else []  # they print what is counted on a CPU
    return pytest.param(page, page, marks=marks, id=page.stem)


@pytest.mark.filterwarnings("ignore::autograd_jit.errors.FallbackWarning")
@pytest.mark.parametrize("module, page", map(_case, PAGES), indirect=["module"])
def test_page(module, page):
    run_page(page, module)


def test_every_page_is_in_the_index():
    index = (DOCS / "index.md").read_text().split()
    missing = [page.stem for page in PAGES if f"tutorial/{page.stem}" not in index]
    assert PAGES and missing == []


def test_every_page_has_code_and_no_block_is_skipped():
    """A fence with another spelling of Python would not be run."""
    for page in PAGES:
        opened = re.findall(r"^ *```+ *\{?([\w-]*)", page.read_text(), re.MULTILINE)
        kinds = set(opened) - {"", "sh", "text", "note"}
        assert kinds == {"python"}, page.name
        assert opened.count("python") == len(blocks(page)), page.name


def test_a_wrong_output_is_noticed():
    with pytest.raises(AssertionError, match="Expected"):
        run_examples(">>> 1 + 1\n3\n", PAGES[0], 0, {})
