"""Every example of the gallery, both ways: the same answers all the way, and compiled to the end.

An example joins by lying in ``examples/`` with an ``EXAMPLE``.  ``KNOWN`` lists what a compiled run does that we
would rather it did not, with the reason; an entry that is no longer needed fails, too.
"""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if "\nEXAMPLE = " in path.read_text())
TOLERANCE = 1e-8

#: example -> the findings it is known for: "python steps", "fallbacks", "late traces"
KNOWN: dict[str, set[str]] = {
    # Every look adds a point: new shapes, so a new trace.
    "bayesian_optimization": {"late traces"},
    # Iterates as often as the numbers ask for; each step of it is compiled.
    "fixed_points": {"python steps"},
    # SciPy's solver; the dynamics that it calls are compiled.
    "ode_net": {"python steps"},
}


@pytest.fixture
def example(request, monkeypatch):
    """An example's module, imported as a run from the command line does: with its folder on the path."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(request.param)


def found(findings):
    """The names of the findings that are not empty."""
    kinds = {
        "python steps": findings.python_steps,
        "fallbacks": findings.fallbacks,
        "late traces": findings.late_traces,
    }
    return {name for name, what in kinds.items() if what}


@pytest.mark.filterwarnings("ignore::autograd_jit.errors.FallbackWarning")
@pytest.mark.parametrize("example", NAMES, indirect=True)
def test_same_trajectory_both_ways(example, tmp_path):
    """Every step's answers agree; the pictures can be drawn; nothing runs in Python that need not."""
    harness = importlib.import_module("_harness")
    both = harness.compare(example.EXAMPLE, quick=True)
    assert both.compiled.trajectory
    assert both.difference <= TOLERANCE
    findings = harness.findings(both.compiled)
    assert found(findings) == KNOWN.get(example.__name__, set()), str(findings)
    written = harness.save(example.EXAMPLE, both.compiled.result, tmp_path)
    assert all(path.stat().st_size > 0 for path in written)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::autograd_jit.errors.FallbackWarning")
@pytest.mark.parametrize("example", NAMES, indirect=True)
def test_whole_runs_stay_compiled(example):
    """The full length: the same answers to its end, no fall-back, no trace once it is warm, no other Python step.

    How long it takes both ways is not tested, but measured: see the table in ``examples/README.md``.
    """
    harness = importlib.import_module("_harness")
    both = harness.compare(example.EXAMPLE, quick=False)
    assert both.difference <= TOLERANCE
    findings = harness.findings(both.compiled)
    assert found(findings) == KNOWN.get(example.__name__, set()), str(findings)


def test_all_known_findings_are_of_examples():
    assert set(KNOWN) <= set(NAMES)


def command_line(folder, *options):
    """The finished process of an example run as users run it."""
    command = [sys.executable, str(FOLDER / "tanh.py"), "--quick", "--out", str(folder), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


@pytest.mark.cpu
@pytest.mark.parametrize("option", ["--compare", "--jit", "--no-jit"])
def test_command_line(option, tmp_path):
    process = command_line(tmp_path, option)
    assert process.returncode == 0, process.stderr
    ways = {"--compare": ["interpreted", "compiled"], "--jit": ["compiled"], "--no-jit": ["interpreted"]}[option]
    assert [way for way in ("interpreted", "compiled") if f"\n{way} " in process.stdout] == ways
    assert ("explain()" in process.stdout) == (option != "--no-jit")
    assert ("difference" in process.stdout) == (option == "--compare")
    assert (tmp_path / "tanh.png").read_bytes().startswith(b"\x89PNG")
    assert process.stderr == ""
