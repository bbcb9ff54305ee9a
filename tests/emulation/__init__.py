"""An emulated CUDA device for the tests: kernels and host code run with no GPU and no driver.

Four layers, each usable alone:

* **kernels**: `execute.EmulatedKernel` runs a kernel from the compiler's real IR on the CPU (`host_ir`, `shims`,
  `libdevice`, `build`; the threads are scheduled by `c/scheduler.c`).  Needs the compiler packages, no driver.
* **host code**: `driver.install()` puts a library in the driver's place (`c/*.c`) that answers on host memory and runs
  launches by the first layer, so that unmodified `cuda.core` and numba-cuda work.  `plugin` makes fixtures of it.
* **machine code**: `machine_code` compiles and assembles for real architectures and reads the reports;
  `coalescing` counts memory sectors per warp request.
* **second opinion**: `simulator` runs a kernel's Python function under numba's own simulator.

An emulation is not a GPU: it does not run the NVVM optimiser or the machine code, knows no memory order between blocks,
and says nothing about speed.
"""
