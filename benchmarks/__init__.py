"""Timings of compiled gradients against interpreted ones and against other systems.

``python -m benchmarks`` times the compiler, ``python -m benchmarks.tracer`` the interpreted tracer.
"""
