import hashlib
import threading
import weakref

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import config, jit
from autograd_jit.errors import BackendError
from autograd_jit.kernels.llvm import CodegenError
from autograd_jit.lower import compile as compiling
from autograd_jit.lower.builder import Builder
from autograd_jit.lower.compile import compile_kernel, compiled_kernels, counters
from autograd_jit.lower.emit_llvm import emit
from tests.lower.graphs import launches

pytestmark = pytest.mark.cpu

F8 = np.dtype(np.float64)


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    """No kernels in memory or on disk."""
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(compiling, "_known", weakref.WeakValueDictionary())


def kernel_of(*ops):
    b = Builder()
    x = b.input((5,), F8)
    for op in ops:
        x = b.map(op, (x,), F8, (5,))
    b.graph.outputs = [x]
    return launches(b.graph)[1][0].kernel


def test_a_structure_is_compiled_once():
    before = counters.compiled
    first = compile_kernel(kernel_of("exp", "sin"))
    assert compile_kernel(kernel_of("exp", "sin")) is first
    assert (counters.compiled - before, first.origin, first.compiler) == (1, "compiled", "llvm")
    assert compiled_kernels() == [first] and first.seconds > 0


def test_a_second_process_loads_from_disk():
    compile_kernel(kernel_of("exp"))
    compiling._known.clear()
    loaded = counters.loaded
    assert compile_kernel(kernel_of("exp")).origin == "disk"
    assert counters.loaded == loaded + 1


def test_a_damaged_object_is_compiled_anew():
    kernel = kernel_of("exp")
    key = hashlib.sha256(emit(kernel).encode()).hexdigest()
    compiling.default_cache().put(key, b"\x7fELF nonsense")
    assert compile_kernel(kernel).origin == "compiled"
    compiling._known.clear()
    assert compile_kernel(kernel).origin == "disk"


def test_compilers_keep_kernels_of_their_own():
    kernel = kernel_of("exp")
    first = compile_kernel(kernel)
    with config(compiler="numba"):
        other = compile_kernel(kernel)
        assert other.compiler == "numba" and compile_kernel(kernel) is other
    assert compile_kernel(kernel) is first


def reject(*args, **kwargs):
    raise CodegenError("no such instruction")


def test_what_llvm_rejects_goes_to_numba(monkeypatch):
    monkeypatch.setattr(compiling, "compile_ir", reject)
    assert compile_kernel(kernel_of("exp")).compiler == "numba"


def test_a_printer_that_fails_counts_too(monkeypatch):
    def broken(kernel):
        raise KeyError("op")

    monkeypatch.setattr(compiling, "emit", broken)
    assert compile_kernel(kernel_of("cos")).compiler == "numba"


def test_two_failures_are_one_error_that_names_both(monkeypatch):
    monkeypatch.setattr(compiling, "compile_ir", reject)
    monkeypatch.setattr(compiling, "_by_numba", lambda kernel: (_ for _ in ()).throw(ImportError("no numba")))
    with pytest.raises(BackendError, match=r"no such instruction.*no numba"):
        compile_kernel(kernel_of("exp"))
    with config(compiler="numba"), pytest.raises(BackendError, match="no numba"):
        compile_kernel(kernel_of("exp"))
    assert compiled_kernels() == []


def test_threads_compile_a_kernel_once():
    kernel, found = kernel_of("tanh", "exp"), []
    threads = [threading.Thread(target=lambda: found.append(compile_kernel(kernel))) for _ in range(8)]
    before = counters.compiled
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1 and counters.compiled == before + 1


def test_a_jitted_function_by_numba():
    x = np.linspace(-1, 1, 50).reshape(5, 10)
    function = jit(lambda x: anp.sum(anp.exp(x) * x, axis=1))
    with config(compiler="numba"):
        want = function(x)
        np.testing.assert_allclose(function(x), want, rtol=1e-14)
    assert function.stats.replays == 1
    assert {entry.compiled.compiler for entry in function.kernels(x)} == {"numba"}
