"""Options and fixtures of the whole suite."""

from tests.emulation.plugin import (
    compiler_packages,
    emulated_device,
    pytest_addoption,
    pytest_configure,
)

__all__ = ["compiler_packages", "emulated_device", "pytest_addoption", "pytest_configure"]
