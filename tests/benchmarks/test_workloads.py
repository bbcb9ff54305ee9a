"""Every workload's gradient is right at a tiny size, by every system of ours and by hand. Times are never asserted."""

import numpy
import pytest

from benchmarks import handwritten, measure, rivals
from benchmarks.profile import profile
from benchmarks.run import check_slope
from benchmarks.worker import Bench
from benchmarks.workloads import BY_NAME, SUITE

#: losses by workload: complete jobs repeat the programs of others
PROGRAMS = [workload for workload in SUITE if not workload.drive]
NAMES = [workload.name for workload in PROGRAMS]


def test_names_differ():
    assert len(BY_NAME) == len(SUITE)


@pytest.mark.parametrize("name", NAMES)
def test_gradient(name):
    """Interpreted and compiled agree with HIPS autograd and with differences of the plain NumPy program."""
    workload = BY_NAME[name]
    arguments = workload.tiny()
    interpreted, compiled = (system.target(workload) for system in rivals.ours())
    expected = rivals.hips_autograd()[0].target(workload)(*arguments)
    results = {"autograd": expected, "interpreted": interpreted(*arguments), "traced": compiled(*arguments)}
    results["replayed"] = compiled(*arguments)
    measure.check(name, results, "autograd", 1e-11)
    assert compiled.stats.replays >= 1  # two where the same program at another size has been traced
    assert compiled.stats.fallbacks == 0
    found = profile(compiled, arguments)
    assert found["operations"] > 0
    assert found["python_steps"] == 0
    # Second derivatives: differences of our own first ones, which the first-order workloads have checked.
    loss = rivals.ours()[0].loss(workload) if workload.second_order else workload.make_loss(numpy)
    check_slope(name, results["interpreted"], *measure.slope_along(loss, arguments))


@pytest.mark.parametrize(
    ("table", "name"),
    [
        pytest.param(table, name, id=f"{kind}: {name}")
        for kind, table in (("numpy", handwritten.NUMPY), ("njit", handwritten.compiled()))
        for name in table
    ],
)
def test_gradient_by_hand(table, name):
    workload = BY_NAME[name]
    arguments = workload.tiny()
    expected = rivals.ours()[0].target(workload)(*arguments)
    measure.check(name, {"ours": expected, "by hand": table[name](*arguments)}, "ours", 1e-11)


@pytest.mark.parametrize("name", [workload.name for workload in PROGRAMS if workload.other and workload.quick])
def test_another_shape_compiles_nothing(name):
    bench = Bench(rivals.OURS)
    bench.load(name)
    for system in (rivals.INTERPRETED, rivals.COMPILED):
        bench.prepare(system)
        bench.first(system)
    found = {system: bench.at_other_shape(system) for system in (rivals.INTERPRETED, rivals.COMPILED)}
    assert found[rivals.COMPILED]["compiled"] == 0
    results = {system: answer["result"] for system, answer in found.items()}
    measure.check(name, results, rivals.INTERPRETED)


@pytest.mark.parametrize("name", [workload.name for workload in SUITE if workload.drive])
def test_complete_job(name):
    """The driver reaches the same end with either of our systems."""
    workload = BY_NAME[name]
    arguments = workload.tiny()
    results = {system.name: workload.drive(system.target(workload), arguments) for system in rivals.ours()}
    measure.check(name, results, rivals.INTERPRETED, workload.tolerance)


def test_a_dozen_gradients_by_hand_are_one_function():
    """Small ones, loops and memory-bound ones are compared with what an expert would write in Numba."""
    assert len({*handwritten.compiled().values()}) >= 12
