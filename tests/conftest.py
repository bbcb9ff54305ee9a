"""Options and fixtures of the whole suite."""

import os
from collections.abc import Iterator
from unittest import mock

import pytest

from tests.emulation.plugin import (
    compiler_packages,
    emulated_device,
    pytest_addoption,
    pytest_configure,
)

__all__ = ["compiler_packages", "emulated_device", "pytest_addoption", "pytest_configure"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Tests marked `cpu` run with that target, and so do the processes that they start, whatever is set for the run."""
    if item.get_closest_marker("cpu") is None:
        yield
        return
    from autograd_jit import config

    with mock.patch.dict(os.environ, {"AUTOGRAD_JIT_TARGET": "cpu"}), config(target="cpu"):
        yield
