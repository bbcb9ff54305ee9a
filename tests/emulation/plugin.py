"""pytest's side of the emulated device: the option, the fixtures, the checks after each test.

The stand-in must be loaded before anything asks for a driver, so it is chosen for a whole run: `pytest --emulated-cuda`
or AUTOGRAD_JIT_EMULATED_CUDA=1 in the environment.  Without it there is no device in the process, and tests that ask
for one are skipped; tests of single kernels (`execute.EmulatedKernel`) run either way.
"""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.emulation import packages

if TYPE_CHECKING:
    from tests.emulation.driver import EmulatedDevice

VARIABLE = "AUTOGRAD_JIT_EMULATED_CUDA"
_key = pytest.StashKey["EmulatedDevice"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--emulated-cuda", action="store_true", help="run with a CUDA device emulated on the CPU")
    parser.addoption("--deferred", action="store_true", help="let the emulated device work only when it is waited for")


def pytest_configure(config: pytest.Config) -> None:
    wanted = config.getoption("--emulated-cuda") or os.environ.get(VARIABLE) == "1"
    if wanted and packages.missing() is None:
        os.environ[VARIABLE] = "1"  # for whatever the tests start themselves
        from tests.emulation import driver

        config.stash[_key] = driver.install()


@pytest.fixture
def compiler_packages() -> None:
    """Skips where the CUDA compiler packages are not installed."""
    if reason := packages.missing():
        pytest.skip(reason)


@pytest.fixture(autouse=True)
def no_faults_of_the_emulated_device(request: pytest.FixtureRequest) -> Iterator[None]:
    """In a run with the device, every test leaves it without a fault and with every canary as it was, whether or not
    it asks for the device: programs do where AUTOGRAD_JIT_TARGET is cuda."""
    device = request.config.stash.get(_key, None)
    if device is None or "emulated_device" in request.fixturenames:
        yield
        return
    device.forget_faults()
    with device.deferred() if request.config.getoption("--deferred") else contextlib.nullcontext():
        yield
    device.check()


@pytest.fixture
def emulated_device(request: pytest.FixtureRequest, compiler_packages: None) -> Iterator[EmulatedDevice]:
    """The emulated device.  After the test: no fault, no overwritten canary, nothing allocated that was not before.

    `@pytest.mark.emulated(keeps_memory=True)` drops the last, for what a program caches by design.
    """
    device = request.config.stash.get(_key, None)
    if device is None:
        pytest.skip("no emulated device in this run: pytest --emulated-cuda")
    marker = request.node.get_closest_marker("emulated")
    keeps_memory = bool(marker and marker.kwargs.get("keeps_memory"))
    device.forget_faults()
    gc.collect()
    before = device.live()
    yield device
    device.check()
    if not keeps_memory:
        gc.collect()
        device.check()
        after = device.live()
        assert after == before, "device objects leaked by the test"
