"""The digits example, run as a user runs it, and the compiled calls inside it."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "digits.py"
WAYS = ("interpreted", "compiled")
FITS = [f"{model}, {way}" for model in ("softmax regression", "tanh network") for way in ("L-BFGS", "Adam")]


def run(folder, *options):
    """The finished process of a quick run that writes into ``folder``."""
    command = [sys.executable, str(EXAMPLE), "--quick", "--out", str(folder / "pictures"), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


def accuracies(output):
    """Test accuracy in percent by (fit, way), read off the printed table."""
    rows = re.findall(r"^(\w.*, [\w-]+) +(interpreted|compiled) +([\d.]+)%", output, re.MULTILINE)
    return {(fit, way): float(percent) for fit, way, percent in rows}


@pytest.fixture(scope="module", params=["both", "--jit", "--no-jit"])
def finished(request, tmp_path_factory):
    """A quick run in both ways or in one; with the ways that it used and the folder it wrote to."""
    folder = tmp_path_factory.mktemp("digits")
    process = run(folder, *([] if request.param == "both" else [request.param]))
    process.folder = folder
    process.ways = {"both": WAYS, "--jit": WAYS[1:], "--no-jit": WAYS[:1]}[request.param]
    return process


def test_trains_and_tells(finished):
    assert finished.returncode == 0, finished.stderr
    reached = accuracies(finished.stdout)
    assert set(reached) == {(fit, way) for fit in FITS for way in finished.ways}
    assert all(reached["tanh network, L-BFGS", way] >= 96 for way in finished.ways)
    assert min(reached.values()) >= 85
    for way in finished.ways:
        assert re.search(rf"^all fits {way}: [\d.]+ s", finished.stdout, re.MULTILINE)


def test_writes_a_picture(finished):
    assert (finished.folder / "pictures" / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_both_ways_agree(finished):
    differences = re.findall(r"gradients differ by ([\d.e+-]+), final losses by ([\d.e+-]+)", finished.stdout)
    assert len(differences) == (len(FITS) if len(finished.ways) == 2 else 0)
    for gradients, losses in differences:
        assert float(gradients) < 1e-10
        # L-BFGS on the network may amplify rounding; the other fits are far below this.
        assert float(losses) < 1e-2


def test_no_progress_bar_without_a_terminal(finished):
    assert "█" not in finished.stderr
    assert "\r" not in finished.stdout + finished.stderr


@pytest.fixture(scope="module")
def example():
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("digits_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize("index", [0, 1], ids=["softmax", "network"])
def test_later_minibatches_run_natively(example, index):
    """An epoch traces twice, for the full batches and for the short last one; all else is replayed."""
    digits, model = example.load(), example.models(64, 16)[index]
    gradient = example.value_and_grad(example.make_loss(model.scores), jit=True)
    for step in range(2 * digits.batches):
        gradient(model.start(), digits.batch(step))
    stats = gradient.stats
    assert (stats.calls, stats.traces, stats.replays) == (2 * digits.batches, 2, 2 * digits.batches - 2)
    assert (stats.guard_failures, stats.fallbacks, stats.python_steps) == (0, 0, 0)
