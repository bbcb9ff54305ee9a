"""The examples' shared harness, on programs small enough to know the answers."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from autograd_jit import jit, value_and_grad
from autograd_jit.extend import primitive

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("_harness")


def example_of(harness, work, **options):
    return harness.Example("examples/small.py", "A small example.\n\nMore of it.", work, **options)


def descent(run):
    """Ten steps down a parabola."""
    slope = run.watch(value_and_grad(lambda x: (x**2).sum(), jit=run.jit))
    x = np.arange(3.0)
    for _ in range(run.pick(full=20, quick=10)):
        value, gradient = slope(x)
        x = x - 0.1 * gradient
        yield value
    return x


def test_both_ways_step_by_step(harness):
    both = harness.compare(example_of(harness, descent), quick=True)
    assert len(both.interpreted.trajectory) == len(both.compiled.trajectory) == 10
    assert both.difference < 1e-14
    np.testing.assert_allclose(both.compiled.result, 0.8**10 * np.arange(3.0))
    found = harness.findings(both.compiled)
    assert found.is_clean and found.counts.startswith("10 calls")


def test_a_difference_is_measured_and_fails_the_command_line(harness, tmp_path, capsys):
    def work(run):
        for step in range(3):
            yield 1.0, 2.0 + 1e-6 * (run.jit and step == 1)

    example = example_of(harness, work)
    assert harness.compare(example, quick=True).difference == pytest.approx(0.5e-6)
    with pytest.raises(SystemExit, match="differ by 5"):
        harness.main(example, ["--compare", "--out", str(tmp_path)])
    assert "3 steps" in capsys.readouterr().out


def test_runs_of_different_length_differ(harness):
    def work(run):
        yield from range(3 + run.jit)

    assert harness.compare(example_of(harness, work), quick=True).difference == float("inf")


@pytest.mark.parametrize("pair", [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0)])
def test_what_is_not_finite_must_agree(harness, pair):
    a, b = (np.array([2.0, x]) for x in pair)
    assert harness.relative_difference(a, b) == float("inf")
    assert harness.relative_difference(a, a) == 0.0


@pytest.mark.filterwarnings("ignore::autograd_jit.errors.FallbackWarning")
def test_findings_name_fallbacks_late_traces_and_python_steps(harness):
    seen = []

    def keeps(x):
        seen.append(len(x))
        return x.sum()

    @primitive
    def doubled(x):
        return np.asarray(x) + np.asarray(x)

    def work(run):
        grow, state, own = (
            run.watch(jit(function) if run.jit else function)
            for function in (lambda x: x.sum(), keeps, lambda x: doubled(x).sum())
        )
        for size in range(1, 9):
            yield grow(np.ones(size)) + state(np.ones(2)) + own(np.ones(2))

    found = harness.findings(harness.run_one(example_of(harness, work), True, True))
    assert found.late_traces == 3
    assert len(found.fallbacks) == 1 and "runs interpreted" in found.fallbacks[0]
    assert len(found.python_steps) == 1 and "doubled" in found.python_steps[0]
    assert not found.is_clean


def test_without_matplotlib_there_is_no_picture_and_a_word_why(harness, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(importlib.sys.modules, "matplotlib", None)
    example = example_of(harness, descent, picture=lambda figure, result: None)
    harness.main(example, ["--quick", "--out", str(tmp_path)])
    assert "Matplotlib" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_adam_finds_the_minimum_of_a_container(harness):
    target = {"a": np.array([1.0, -2.0]), "b": 3.0}
    loss = value_and_grad(lambda p, step: ((p["a"] - target["a"]) ** 2).sum() + (p["b"] - target["b"]) ** 2)
    values, params = zip(*harness.adam(loss, {"a": np.zeros(2), "b": 0.0}, steps=800, rate=0.05))
    assert values[0] == pytest.approx(14.0) and len(values) == 800
    np.testing.assert_allclose(params[-1]["a"], target["a"], atol=1e-4)


def test_figures_are_written_for_programs(harness, tmp_path):
    file = tmp_path / "figures.json"
    example = example_of(harness, descent, step="slide")
    harness.main(example, ["--compare", "--quick", "--figures", str(file), "--out", str(tmp_path)])
    figures = json.loads(file.read_text())
    assert (figures["name"], figures["title"], figures["step"]) == ("small", "A small example.", "slide")
    assert (figures["quick"], figures["steps"], figures["findings"]) == (True, 10, [])
    assert figures["difference"] < 1e-14
    for times in (figures["per_step"], figures["total"]):
        assert set(times) == {"interpreted", "compiled"} and min(times.values()) > 0
    total = figures["total"]
    assert figures["total_speed_up"] == total["interpreted"] / total["compiled"]


def test_figures_are_of_both_ways(harness, tmp_path, capsys):
    with pytest.raises(SystemExit):
        harness.main(example_of(harness, descent), ["--figures", str(tmp_path / "figures.json")])
    assert "--compare" in capsys.readouterr().err
