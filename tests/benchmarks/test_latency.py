import pytest

from benchmarks.latency import COLUMNS, break_even, main, most_behind, row


@pytest.mark.parametrize(
    ("ours", "theirs", "calls"),
    [
        ([1, 1], [2, 2], 1),
        ([5, 1, 1], [3, 3, 3], 2),
        ([5, 1], [3, 3], 2),
        ([9, 1], [3, 3], None),
        ([1, 9], [3, 3], None),
    ],
)
def test_break_even(ours, theirs, calls):
    assert break_even(ours, theirs) == calls


def test_the_most_that_it_is_behind():
    assert most_behind([5, 1, 1], [3, 3, 3]) == 2
    assert most_behind([1, 9, 1], [3, 3, 3]) == 4
    assert most_behind([1, 1], [3, 3]) == 0


@pytest.mark.slow
def test_a_row_of_the_table(tmp_path):
    found = row("rosenbrock 1e1", str(tmp_path), with_jax=False)
    assert {key for _, key in COLUMNS} == set(found)
    assert found["kernels"] > 0 and found["optimised_s"] < 10


def test_a_name_that_is_not_there_prints_the_head_alone(capsys):
    assert main(["--only", "no such workload"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
