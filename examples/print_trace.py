"""Print a trace: every operation as it is applied, by a tracer of our own; then the tape that ``jit`` records.

A tracer is a class of nodes.  This one prints each operation with the names of its operands and keeps nothing else.
Newton's method then looks for a minimum of the traced function, by its first and second derivatives.

    python examples/print_trace.py --compare
"""

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import grad, jit
from autograd_jit.tracer import Node, trace


class PrintNode(Node):
    """A value with a name, printed when it is computed."""

    def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
        names = dict(zip(parent_argnums, [parent.name for parent in parents]))
        shown = ", ".join(names.get(position, str(arg)) for position, arg in enumerate(args))
        self.tell, self.count = parents[0].tell, parents[0].count
        self.name = f"t{next(self.count)}"
        self.tell(f"  {self.name} = {fun.__name__}({shown}) = {value:.6g}")

    def initialize_root(self, x, tell):
        self.tell, self.count = tell, iter(range(1, 10_000))
        self.name = "t0"
        tell(f"  {self.name} = {x:.6g}")


def bumpy(x):
    """A bowl with waves in it."""
    waves = np.sin(3.0 * x)
    return np.log(1.0 + x**2) + 0.3 * waves**2


def print_trace(function, x, tell):
    """Run ``function(x)`` and print what happens."""
    trace(PrintNode.new_root(x, tell), function, x)


def work(run):
    """A step is one of Newton's, from many starts."""
    run.tell("the function, operation by operation:")
    print_trace(bumpy, 1.5, run.tell)
    slope, bend = grad(bumpy), grad(grad(bumpy))
    if run.jit:
        slope, bend = run.watch(jit(slope)), run.watch(jit(bend))
        run.tell(f"\nits derivative's tape:\n{slope.tape(1.5)}")
    path = []
    for start in numpy.linspace(-2.0, 2.0, run.pick(full=200, quick=10)):
        x = float(start)
        for _ in range(10):
            x = x - slope(x) / (abs(bend(x)) + 0.5)
            path.append(x)
            yield x
    return numpy.array(path).reshape(-1, 10)


def picture(figure, paths):
    """The function, and where Newton's method went."""
    axis = figure.subplots()
    x = numpy.linspace(-2.2, 2.2, 400)
    axis.plot(x, bumpy(x))
    axis.plot(paths[:, -1], bumpy(paths[:, -1]), "o")
    axis.set(title="minima found", xlabel="x")


EXAMPLE = Example(__file__, __doc__, work, picture)

if __name__ == "__main__":
    main(EXAMPLE)
