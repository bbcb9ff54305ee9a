"""Examples in docstrings say what happens. They may use the operators and ``np`` without importing them."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import types

import pytest

import autograd_jit
import autograd_jit.numpy

NAMES = {name: getattr(autograd_jit, name) for name in autograd_jit.differential_operators.__all__}
NAMES |= {"np": autograd_jit.numpy, "jit": autograd_jit.jit, "config": autograd_jit.config}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


#: examples show what happens by default
pytestmark = pytest.mark.in_background


def modules_with_examples() -> list[str]:
    found = ["autograd_jit"]
    for module in pkgutil.walk_packages(autograd_jit.__path__, "autograd_jit."):
        loader = module.module_finder.find_spec(module.name, None).loader
        if ">>>" in loader.get_source(module.name):
            found.append(module.name)
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name):
    module = importlib.import_module(name)
    assert isinstance(module, types.ModuleType)
    runner, report = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False), []
    # under a name of its own: what is written in a module of the package counts as its code, not as a user's
    names = {**NAMES, **vars(module), "__name__": "docstring"}
    for test in doctest.DocTestFinder().find(module, name, globs=names):
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def public_functions():
    """``module.name`` of all that users call, but for classes that they only derive from, catch or meet."""
    modules = "autograd_jit autograd_jit.extend autograd_jit.test_util autograd_jit.misc autograd_jit.misc.optimizers"
    for module in map(importlib.import_module, modules.split()):
        for name in getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")]):
            value = getattr(module, name)
            is_ours = getattr(value, "__module__", "").startswith("autograd_jit")
            if is_ours and (isinstance(value, types.FunctionType) or name in ("Box", "VSpace", "SparseObject")):
                yield f"{module.__name__}.{name}"


@pytest.mark.parametrize("name", list(public_functions()))
def test_public_functions_show_an_example(name):
    module, _, attribute = name.rpartition(".")
    assert ">>>" in (getattr(importlib.import_module(module), attribute).__doc__ or "")
