"""What `explain` says of a trace."""

from types import SimpleNamespace

from autograd_jit.reports import TraceReport


def test_a_kernel_that_is_launched_often_is_compiled_once():
    """Its time was counted for each launch: three kernels of 1,599 launches had taken "242255 ms of compiling"."""
    compiled = SimpleNamespace(kernel="a", seconds=0.25, origin="compiled")
    loaded = SimpleNamespace(kernel="b", seconds=0.125, origin="disk")
    kernels = [compiled, loaded] * 40
    report = TraceReport(0.001, 9, "first call", {}, [], 0)
    report.note_lowered(SimpleNamespace(seconds=0.5, table=kernels, kernels=kernels, remarks=[]), 1, 1)
    assert report.lowered.strip() == (
        "lowered in 500.0 ms: 80 kernel launches of 2 kernels (1 compiled, 1 from disk, 250 ms of compiling in all)"
    )
