"""The digits example, run as a user runs it, and the compiled calls inside it."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from autograd_jit import value_and_grad

pytestmark = pytest.mark.cpu  # processes of their own, which have no emulated device

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
FITS = ["softmax regression, L-BFGS", "softmax regression, Adam", "tanh network, Adam"]


@pytest.fixture(scope="module", params=["both", "--jit", "--no-jit"])
def finished(request, tmp_path_factory):
    """A quick run in both ways or in one, with the ways that it used and the folder it wrote to."""
    folder = tmp_path_factory.mktemp("digits")
    options = [] if request.param == "both" else [request.param]
    command = [sys.executable, str(FOLDER / "digits.py"), "--quick", "--out", str(folder / "pictures"), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    process.folder = folder
    process.ways = {"both": ["interpreted", "compiled"], "--jit": ["compiled"], "--no-jit": ["interpreted"]}[
        request.param
    ]
    return process


def test_trains_and_tells(finished):
    assert finished.returncode == 0, finished.stderr
    rows = re.findall(r"^(\w.*, [\w-]+) +([\d.]+)% of 360 test images right", finished.stdout, re.MULTILINE)
    reached = {fit: float(percent) for fit, percent in rows}
    assert list(reached) == FITS
    assert reached["tanh network, Adam"] >= 95 and min(reached.values()) >= 90
    assert re.findall(r"^(interpreted|compiled) +\d+ steps", finished.stdout, re.MULTILINE) == finished.ways


def test_writes_a_picture(finished):
    assert (finished.folder / "pictures" / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_both_ways_are_compared(finished):
    differences = re.findall(r"^difference +([\d.e+-]+) relative", finished.stdout, re.MULTILINE)
    assert len(differences) == (len(finished.ways) == 2)
    assert all(float(difference) < 1e-10 for difference in differences)


def test_nothing_but_the_report_is_printed(finished):
    assert finished.stderr == "" and "\r" not in finished.stdout


@pytest.mark.parametrize("index", [0, 1], ids=["softmax", "network"])
def test_later_minibatches_run_natively(monkeypatch, index):
    """An epoch traces twice, for the full batches and for the short last one; all else is replayed."""
    monkeypatch.syspath_prepend(str(FOLDER))
    example = importlib.import_module("digits")
    digits, model = example.load(), example.models(64, 16)[index]
    gradient = value_and_grad(example.make_loss(model.scores), jit=True)
    for step in range(2 * digits.batches):
        gradient(model.start(), digits.batch(step))
    stats = gradient.stats
    assert (stats.calls, stats.traces, stats.replays) == (2 * digits.batches, 2, 2 * digits.batches - 2)
    assert (stats.guard_failures, stats.fallbacks, stats.python_steps) == (0, 0, 0)
