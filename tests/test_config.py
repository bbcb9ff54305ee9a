import subprocess
import sys
import weakref

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, jit
from autograd_jit.config import Config
from autograd_jit.errors import ArgumentError
from autograd_jit.kernels import cpu
from autograd_jit.lower import compile as compiling


@pytest.mark.cpu
def test_defaults():
    fresh = Config()
    assert (fresh.compiler, fresh.compile, fresh.progress) == ("llvm", "background", "auto")
    assert repr(fresh) == (
        "config(compiler='llvm', compile='background', target='cpu', progress='auto', memory_limit=1073741824, "
        f"threads={cpu.usable()}, precise=False, fast_approximations=False)"
    )


def test_as_context_manager_restores_also_after_an_error():
    settings = Config()
    with settings(compiler="numba", progress=True) as inside:
        assert inside is settings and settings.compiler == "numba" and settings.progress is True
    assert settings.compiler == "llvm" and settings.progress == "auto"
    with pytest.raises(ZeroDivisionError), settings(compiler="numba"):
        raise ZeroDivisionError
    assert settings.compiler == "llvm"


def test_as_function_and_nested():
    settings = Config()
    settings(compiler="numba")
    assert settings.compiler == "numba"
    with settings(compiler="llvm"):
        with settings(compiler="numba"):
            pass
        assert settings.compiler == "llvm"
    assert settings.compiler == "numba"


@pytest.mark.parametrize(
    "wrong",
    [
        *({"compiler": "gcc"}, {"progress": "yes"}, {"progress": 1}, {"speed": 3}),
        *({"memory_limit": -1}, {"memory_limit": 1.0}, {"memory_limit": True}),
    ],
)
def test_wrong_settings_change_nothing(wrong):
    settings = Config()
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        settings(**({"progress": True} | wrong if "compiler" in wrong else {"compiler": "numba"} | wrong))
    assert settings.compiler == "llvm" and settings.progress == "auto"
    with pytest.raises(ArgumentError):
        setattr(settings, *next(iter(wrong.items())))


def test_environment(monkeypatch):
    monkeypatch.setenv("AUTOGRAD_JIT_COMPILER", "numba")
    monkeypatch.setenv("AUTOGRAD_JIT_PROGRESS", "1")
    monkeypatch.setenv("AUTOGRAD_JIT_MEMORY_LIMIT", "123456")
    assert Config().compiler == "numba" and Config().progress is True and Config().memory_limit == 123456
    monkeypatch.setenv("AUTOGRAD_JIT_MEMORY_LIMIT", "1 GB")
    with pytest.raises(ArgumentError, match="AUTOGRAD_JIT_MEMORY_LIMIT"):
        Config()
    monkeypatch.delenv("AUTOGRAD_JIT_MEMORY_LIMIT")
    monkeypatch.setenv("AUTOGRAD_JIT_COMPILER", "gcc")
    with pytest.raises(ArgumentError, match="AUTOGRAD_JIT_COMPILER"):
        Config()


@pytest.mark.cpu
def test_progress_counts_new_kernels_on_stderr(capsys, monkeypatch):
    monkeypatch.setattr(compiling, "_known", weakref.WeakValueDictionary())
    x = np.linspace(0.1, 1, 7)
    with config(progress=True):
        function = jit(lambda x: anp.cumsum(anp.exp(x) * 3.25) + anp.sum(x**3))
        function(x)
        assert function.stats.kernels_compiled + function.stats.kernels_loaded > 0  # which waits for them
    shown = capsys.readouterr().err
    count = len(compiling._known)
    assert count > 0 and shown.endswith(f"\rautograd_jit: kernels ready: {count} of {count}\n")


@pytest.mark.cpu
def test_the_llvm_compiler_never_imports_numba():
    program = (
        "import sys, numpy, autograd_jit.numpy as np; from autograd_jit import grad\n"
        "g = grad(lambda x: np.sum(np.exp(x) * x), jit=True)\n"
        "x = numpy.ones(5)\n"
        "g(x), g(x), str(g.kernels(x))\n"
        "assert g.stats.replays == 1, g.stats\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=str(_root()))


def _root():
    import pathlib

    return pathlib.Path(__file__).parent.parent
