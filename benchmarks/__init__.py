"""Timings of compiled gradients against interpreted ones and against other systems.

``python -m benchmarks`` times the compiler, ``python -m benchmarks.launches`` says where one gradient spends its time,
``python -m benchmarks.tracer`` times the interpreted tracer.  On a machine with other work running, ``--busy`` gives
steadier ratios.
"""
