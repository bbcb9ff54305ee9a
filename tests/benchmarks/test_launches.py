"""The profile of launches tells what the program holds."""

import pytest

from benchmarks import launches, rivals
from benchmarks.workloads import BY_NAME


@pytest.mark.parametrize("name", ["rosenbrock 1e3", "gp likelihood 80"])
def test_launches_are_all_timed(name, monkeypatch):
    monkeypatch.setattr(launches, "SECONDS", 1e-5)
    workload = BY_NAME[name]
    target, arguments = rivals.ours()[1].target(workload), workload.arguments()
    times = launches.launch_times(target, arguments)
    program = target.kernels(*arguments).program
    assert sum(launch.count for launch in times) == len(program.table)
    assert all(launch.seconds > 0 for launch in times)
    assert times == sorted(times, key=lambda launch: -launch.seconds)
    named = {launch.kernel for launch in times if launch.kernel is not None}
    assert named == set(range(len(target.kernels(*arguments))))


def test_command_prints_the_longest_first(capsys, monkeypatch):
    monkeypatch.setattr(launches, "SECONDS", 1e-5)
    launches.main(["rosenbrock 1e3", "--source"])
    printed = capsys.readouterr().out
    assert printed.startswith("rosenbrock 1e3: ")
    assert " x kernel0 over 1000" in printed
    assert "def kernel0(" in printed
