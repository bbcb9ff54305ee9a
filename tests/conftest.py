"""Options and fixtures of the whole suite."""

import os
import zlib
from collections.abc import Iterator
from unittest import mock

import pytest

from tests.emulation import plugin
from tests.emulation.plugin import (
    compiler_packages,
    emulated_device,
    no_faults_of_the_emulated_device,
    pytest_configure,
)

__all__ = [
    "compile_mode", "compiler_packages", "emulated_device", "no_faults_of_the_emulated_device",
    "pytest_addoption", "pytest_collection_modifyitems",
    "pytest_configure", "pytest_runtest_protocol",
]  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sample", metavar="N:SEED", help="run one test in N; the seed (any text) says which")
    plugin.pytest_addoption(parser)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    given = config.getoption("--sample")
    if given is None:
        return
    count, _, seed = given.partition(":")
    kept = [item for item in items if zlib.crc32(f"{seed} {item.nodeid}".encode()) % int(count) == 0]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept


@pytest.fixture(autouse=True)
def compile_mode(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every program is native from its second call on, as long as nothing else is asked for: otherwise tests of a few
    calls would see tapes run over NumPy. Where it is asked for, the second call runs over NumPy and the third is
    native. Tests marked `in_background` are about what is done by default."""
    from autograd_jit import config, recorded

    if request.node.get_closest_marker("in_background"):
        with config(compile="background"):
            yield
    else:
        mode = os.environ.get("AUTOGRAD_JIT_COMPILE", "never")
        with config(compile=mode), mock.patch.object(recorded, "MANY_CALLS", 1):
            yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Tests marked `cpu` run with that target, and so do the processes that they start, whatever is set for the run."""
    if item.get_closest_marker("cpu") is None:
        yield
        return
    from autograd_jit import config

    with mock.patch.dict(os.environ, {"AUTOGRAD_JIT_TARGET": "cpu"}), config(target="cpu"):
        yield
