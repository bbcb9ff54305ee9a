"""The disk cache: what was put comes back, whatever else is in the folder never does, and nothing crashes."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from autograd_jit import cache as command
from autograd_jit.lower import cache as cache_module
from autograd_jit.lower.cache import CacheWarning, ObjectCache, default_cache, default_folder

pytestmark = pytest.mark.cpu


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def store(folder):
    return ObjectCache(folder)


def the_file(folder):
    (path,) = folder.glob("*.kernel")
    return path


def test_what_was_put_comes_back(store, folder):
    assert store.get("key") is None
    store.put("key", b"content")
    assert store.get("key") == b"content"
    assert ObjectCache(folder).get("key") == b"content"
    assert store.get("other") is None
    store.put("key", b"new content")
    assert store.get("key") == b"new content"
    store.put("empty", b"")
    assert store.get("empty") == b""


def test_the_folder_and_its_files_are_the_users_alone(store, folder):
    store.put("key", b"content")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert the_file(folder).stat().st_mode & 0o077 == 0


# --- damage -------------------------------------------------------------------------------------------


def flip_last(data):
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGE = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "header only": lambda data: data[:32],
    "truncated": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "altered content": flip_last,
    "altered key": lambda data: data[:5] + bytes([data[5] ^ 1]) + data[6:],
    "altered checksum": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    "foreign": lambda data: b"\x80\x04\x95 a pickle of something",
    "another format": lambda data: b"AGJ0" + data[4:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_a_miss_and_replaced(store, folder, damage):
    store.put("key", b"content of some length")
    path = the_file(folder)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert store.get("key") is None
    assert not path.exists()
    store.put("key", b"content of some length")
    assert store.get("key") == b"content of some length"


def test_swapped_entries_are_misses(store, folder):
    store.put("a", b"content of a")
    first = the_file(folder)
    store.put("b", b"content of b")
    (second,) = set(folder.glob("*.kernel")) - {first}
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two), second.write_bytes(one)
    assert store.get("a") is None
    assert store.get("b") is None


def test_every_single_flipped_bit_is_noticed(store, folder):
    store.put("key", b"content")
    path = the_file(folder)
    data = path.read_bytes()
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        assert store.get("key") is None, bit


def test_a_folder_in_an_entrys_place(store, folder):
    store.put("key", b"content")
    path = the_file(folder)
    path.unlink()
    path.mkdir()
    assert store.get("key") is None
    store.put("key", b"content")


# --- versions -----------------------------------------------------------------------------------------


def test_versions_share_a_folder_and_never_see_each_other(folder):
    old, new = ObjectCache(folder, salt="llvmlite 0.49"), ObjectCache(folder, salt="llvmlite 0.50")
    old.put("key", b"old")
    assert new.get("key") is None
    new.put("key", b"new")
    assert (old.get("key"), new.get("key")) == (b"old", b"new")


@pytest.mark.parametrize("package", ["numba", "llvmlite"])
def test_processes_with_two_versions_of_a_compiler_share_a_home(folder, tmp_path, package):
    """Neither loads what the other compiled, both find their own again."""
    program = """
import numpy as np, autograd_jit.numpy as anp
from autograd_jit import grad
f = grad(lambda x: anp.sum(anp.sin(x) * x), jit=True)
assert abs(f(np.ones(9))[0] - (np.sin(1) + np.cos(1))) < 1e-12
print(f.stats.kernels_compiled, f.stats.kernels_loaded)
"""
    other = tmp_path / "other" / package  # another version: other files, found first; what it holds is the real one's
    other.mkdir(parents=True)
    (other / "__init__.py").write_text(
        "import pkgutil, pathlib\n"
        "__path__ = pkgutil.extend_path(__path__, __name__)\n"
        "exec(pathlib.Path(__path__[1], '__init__.py').read_text())\n"
    )
    plain = os.environ | {"AUTOGRAD_JIT_CACHE_DIR": str(folder)}
    paths = [str(tmp_path / "other"), str(Path(__file__).parents[2])]
    replaced = plain | {"PYTHONPATH": os.pathsep.join(paths)}
    counts = []
    for environment in (plain, replaced, plain, replaced):
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        counts.append(tuple(map(int, done.stdout.split())))
    first = counts[0][0]
    assert first > 0
    assert counts == [(first, 0), (first, 0), (0, first), (0, first)]


def test_salt_and_key_do_not_run_together(folder):
    ObjectCache(folder, salt="ab").put("c", b"content")
    assert ObjectCache(folder, salt="a").get("bc") is None


def test_the_environment_names_compiler_library_and_processor():
    text = cache_module.environment()
    for part in ("llvmlite", "kernel_ir.py", "llvm.py", "flags=" if sys.platform == "linux" else ""):
        assert part in text
    assert "libmvec" in text


def test_the_environment_does_not_import_the_compiler():
    program = (
        "import sys\nfrom autograd_jit.lower.cache import default_cache\ndefault_cache().get('x')\n"
        "print([n for n in ('llvmlite', 'numba') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


# --- folders ------------------------------------------------------------------------------------------


def test_which_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_folder() == str(tmp_path / "own")
    assert default_cache() is default_cache()
    monkeypatch.delenv("AUTOGRAD_JIT_CACHE_DIR")
    assert default_folder() == str(tmp_path / "shared" / "autograd_jit")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == str(tmp_path / "home" / ".cache" / "autograd_jit")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == str(tmp_path / "home" / ".cache" / "autograd_jit")


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o722])
def test_a_folder_that_others_may_write_into_is_refused_with_one_warning(folder, mode):
    folder.mkdir()
    ObjectCache(folder).put("key", b"content")
    folder.chmod(mode)
    store = ObjectCache(folder)
    with pytest.warns(CacheWarning, match="chmod 700") as caught:
        assert store.get("key") is None
        store.put("other", b"content")
        assert store.get("other") is None
        assert store.clear() == 0
    assert len(caught) == 1
    assert len(list(folder.iterdir())) == 1


def test_a_folder_of_another_user_is_refused(folder, monkeypatch):
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(CacheWarning, match="another user"):
        assert ObjectCache(folder).get("key") is None


def test_a_file_in_the_folders_place(folder):
    folder.write_bytes(b"")
    with pytest.warns(CacheWarning, match="not a folder"):
        ObjectCache(folder).put("key", b"content")


def test_a_folder_that_cannot_be_made_is_no_cache_and_no_warning(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    store = ObjectCache(tmp_path / "file" / "cache")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.put("key", b"content")
        assert store.get("key") is None
        assert store.clear() == 0
        assert store.statistics().entries == 0


def fail(*_args, **_kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("function", ["open", "replace", "fdopen"])
def test_no_space_is_no_crash_and_leaves_nothing(store, folder, monkeypatch, function):
    store.put("before", b"content")
    with monkeypatch.context() as patched:
        patched.setattr(os, function, fail)
        store.put("key", b"content")
    assert store.get("key") is None
    assert store.get("before") == b"content"
    assert len(list(folder.iterdir())) == 1
    store.put("key", b"content")
    assert store.get("key") == b"content"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_truly_full_disk(store, folder, monkeypatch):
    store.put("before", b"content")
    real = os.fdopen
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdopen", lambda handle, mode: (os.close(handle), real(os.open("/dev/full", 1), mode))[1])
        store.put("key", bytes(100_000))
    assert store.get("key") is None
    assert len(list(folder.iterdir())) == 1


def test_the_folder_vanishes(store, folder):
    store.put("key", b"content")
    the_file(folder).unlink()
    folder.rmdir()
    assert store.get("key") is None
    store.put("key", b"content")
    store.put("key", b"content")
    assert store.get("key") == b"content"


# --- size ---------------------------------------------------------------------------------------------


def age(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_the_least_recently_used_go_first(folder):
    store = ObjectCache(folder, limit_bytes=100_000)
    paths = {}
    for i in range(9):
        store.put(f"key {i}", bytes(10_000))
        (paths[i],) = set(folder.glob("*.kernel")) - set(paths.values())
        age(paths[i], 100_000 - 10_000 * i)
    assert store.get("key 0") is not None  # used again: now the newest
    for i in range(9, 14):
        store.put(f"key {i}", bytes(10_000))
    assert store.statistics().bytes <= 100_000
    assert store.get("key 0") is not None
    assert store.get("key 1") is None
    assert store.get("key 13") is not None


def test_the_size_stays_bounded(folder):
    store = ObjectCache(folder, limit_bytes=200_000)
    for i in range(300):
        store.put(f"key {i}", random.Random(i).randbytes(5_000))
        assert store.statistics().bytes <= 200_000 * (1 + 1 / 8)
    assert store.statistics().entries >= 20


def test_an_entry_above_the_limit_is_not_stored(folder):
    store = ObjectCache(folder, limit_bytes=1000)
    store.put("key", bytes(2000))
    assert store.statistics().entries == 0


def test_a_clock_set_back(folder):
    store = ObjectCache(folder, limit_bytes=50_000)
    for i in range(4):
        store.put(f"key {i}", bytes(10_000))
    for path in folder.glob("*.kernel"):
        age(path, -1_000_000)
    assert store.get("key 3") is not None  # its time is set to today's
    assert min(path.stat().st_mtime for path in folder.glob("*.kernel")) <= time.time() + 1
    for i in range(4, 20):
        store.put(f"key {i}", bytes(10_000))
    assert store.statistics().bytes <= 55_000


# --- processes ----------------------------------------------------------------------------------------

KEYS = 30


def content_of(i):
    return random.Random(i).randbytes(2000 + 37 * i)


def fill(folder, seed, failures):
    store = ObjectCache(folder)
    order = list(range(KEYS)) * 3
    random.Random(seed).shuffle(order)
    for i in order:
        found = store.get(f"key {i}")
        if found is None:
            store.put(f"key {i}", content_of(i))
        elif found != content_of(i):
            failures.put(f"process {seed} read a wrong entry {i}")


def test_twenty_processes_fill_it_at_once(folder):
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    failures = context.SimpleQueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks of a process that has threads
        workers = [context.Process(target=fill, args=(folder, seed, failures)) for seed in range(20)]
        for worker in workers:
            worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 20
    assert failures.empty()
    assert all(ObjectCache(folder).get(f"key {i}") == content_of(i) for i in range(KEYS))
    assert not list(folder.glob("*.tmp"))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_in_the_middle_of_writing(folder):
    program = (
        "import itertools, sys\nfrom autograd_jit.lower.cache import ObjectCache\n"
        f"store = ObjectCache({str(folder)!r})\nprint('go', flush=True)\n"
        "for i in itertools.count():\n    store.put(f'key {i % 5}', bytes([i % 5]) * 3_000_000)\n"
    )
    for delay in (0.003, 0.01, 0.02, 0.03):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(delay)
            process.kill()
    store = ObjectCache(folder)
    for i in range(5):
        assert store.get(f"key {i}") in (None, bytes([i]) * 3_000_000)
    store.put("key 0", b"content")
    assert store.get("key 0") == b"content"


def test_files_of_dead_writers_are_removed(store, folder):
    store.put("key", b"content")
    dead, alive = folder / "1-1-1.tmp", folder / "2-2-2.tmp"
    dead.write_bytes(b"half"), alive.write_bytes(b"half")
    age(dead, 10_000)
    ObjectCache(folder).put("other", b"content")
    assert not dead.exists()
    assert alive.exists()


# --- command ------------------------------------------------------------------------------------------


def test_command(monkeypatch, capsys, folder):
    monkeypatch.setenv("AUTOGRAD_JIT_CACHE_DIR", str(folder))
    default_cache().put("key", bytes(1000))
    assert command.main([]) == 0
    assert "1 kernels" in capsys.readouterr().out
    assert command.main(["clear"]) == 0
    assert "1 kernels removed" in capsys.readouterr().out
    assert command.main(["show"]) == 0
    assert "0 kernels" in capsys.readouterr().out
    assert command.main(["explode"]) == 2
    assert "usage" in capsys.readouterr().err
    assert Path(folder).is_dir()


def test_warming_leaves_nothing_to_compile(folder):
    program = """
import numpy, autograd_jit.numpy as np
from autograd_jit import grad
def loss(w, x, y): return np.mean((np.dot(x, w) - y) ** 2)
for mode in ("never", "eager"):
    g = grad(loss, jit=True, compile=mode)
    g(numpy.ones(6), numpy.ones((9, 6)), numpy.ones(9))
    assert g.stats.kernels_loaded or mode == "eager", g.stats
    assert g.stats.kernels_compiled == 0, g.stats
"""
    environment = os.environ | {"AUTOGRAD_JIT_CACHE_DIR": str(folder)}
    for arguments in (["-m", "autograd_jit.cache", "warm"], ["-c", program]):
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
