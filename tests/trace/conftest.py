"""What the tests of captured state share."""

import sys

import pytest


@pytest.fixture(autouse=True)
def modules_of_programs_are_taken_back():
    """Others that look through sys.modules (hypothesis does) must not meet the odd ones made here."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("user_module_") or name == "zmod":
            del sys.modules[name]
