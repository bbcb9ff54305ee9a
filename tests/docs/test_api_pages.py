"""The reference names every public function, class and error."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

API = Path(__file__).parents[2] / "docs" / "api"
#: page -> module whose names it lists one by one
LISTED = {"operators": "autograd_jit.differential_operators", "extend": "autograd_jit.extend"}
#: module that is described with ``:members:`` -> page
WHOLE = {
    "autograd_jit.errors": "errors",
    "autograd_jit.misc.optimizers": "optimizers",
    "autograd_jit.misc.fixed_points": "optimizers",
    "autograd_jit.misc.flatten": "optimizers",
    "autograd_jit.test_util": "test_util",
}


@pytest.mark.parametrize("page, module", LISTED.items())
def test_every_public_name_is_described(page, module):
    described = re.findall(r"^\.\. auto(?:function|class|data):: (\w+)", (API / f"{page}.md").read_text(), re.MULTILINE)
    assert sorted(described) == sorted(importlib.import_module(module).__all__)


@pytest.mark.parametrize("module, page", WHOLE.items())
def test_modules_are_described_whole(module, page):
    text = (API / f"{page}.md").read_text()
    assert f".. automodule:: {module}\n   :members:" in text
    public = importlib.import_module(module)
    assert all(getattr(public, name).__doc__ for name in public.__all__ if callable(getattr(public, name)))
