"""Draw the computation graph of a gradient: the tape that ``jit`` records, and the kernels that come of it.

On the left each operation of the tape, from the inputs downwards: the function's own in one colour, those of the
backward pass in another.  On the right what runs: a box for each kernel, with the operations that share its loop.

    python examples/draw_graph.py             # writes out/draw_graph.svg
"""

from html import escape

import numpy
from _harness import Example, main

import autograd_jit.numpy as np
from autograd_jit import jit, value_and_grad

COLOURS = {"input": "#dddddd", "forward": "#cfe3f7", "backward": "#fbe0bf", "kernel": "#e4f1dd"}
LINE, WIDTH, GAP = 16, 150, 34


def loss(weights, bias, inputs, targets):
    """Logistic loss of a layer."""
    chance = 0.5 * (np.tanh(0.5 * (np.dot(inputs, weights) + bias)) + 1.0)
    return -np.mean(np.log(chance * targets + (1.0 - chance) * (1.0 - targets)))


# ---------------------------------------------------------------- a graph as boxes in rows


class Box:
    """Some lines of text, and the boxes that it reads from."""

    def __init__(self, kind, lines, parents):
        self.kind, self.lines, self.parents = kind, lines, parents
        self.row = max((parent.row + 1 for parent in parents), default=0)
        self.width = 16 + 6.4 * max(map(len, lines))
        self.height = 8 + LINE * len(lines)


def arrange(boxes, left):
    """Give all boxes places: parents above, children near the middle of their parents. Returns width and height."""
    rows = [[box for box in boxes if box.row == row] for row in range(max(box.row for box in boxes) + 1)]
    top, widest = 20, 0
    for row in rows:
        wished = [(sum(p.x for p in box.parents) / len(box.parents) if box.parents else left, box) for box in row]
        edge = left
        for x, box in sorted(wished, key=lambda pair: pair[0]):
            box.x, box.y = max(x, edge + box.width / 2), top
            edge = box.x + box.width / 2 + 14
        widest = max(widest, edge)
        top += max(box.height for box in row) + GAP
    return widest, top


def svg(panels):
    """All boxes of all panels and the arrows between them."""
    parts, left, height = [], 10, 0
    for title, boxes in panels:
        parts.append(f'<text x="{left + 8}" y="14" font-weight="bold">{escape(title)}</text>')
        right, bottom = arrange(boxes, left)
        parts += [arrow(parent, box) for box in boxes for parent in box.parents]
        parts += [drawn(box) for box in boxes]
        left, height = right + 60, max(height, bottom)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left:.0f}" height="{height:.0f}" '
        'font-family="monospace" font-size="10.5">\n<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" '
        'markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#666"/></marker></defs>\n'
        '<rect width="100%" height="100%" fill="white"/>'
    )
    return "\n".join([head, *parts, "</svg>\n"])


def arrow(parent, box):
    """A curve from below one box to above another."""
    x0, y0, x1, y1 = parent.x, parent.y + parent.height, box.x, box.y
    bend = (y1 - y0) / 2
    path = f"M{x0:.0f} {y0:.0f} C{x0:.0f} {y0 + bend:.0f} {x1:.0f} {y1 - bend:.0f} {x1:.0f} {y1:.0f}"
    return f'<path d="{path}" fill="none" stroke="#999" marker-end="url(#tip)"/>'


def drawn(box):
    """A rectangle with its lines."""
    left = box.x - box.width / 2
    lines = "".join(f'<tspan x="{left + 8:.0f}" dy="{LINE}">{escape(line)}</tspan>' for line in box.lines)
    return (
        f'<rect x="{left:.0f}" y="{box.y}" width="{box.width:.0f}" height="{box.height}" rx="5" '
        f'fill="{COLOURS[box.kind]}" stroke="#888"/><text x="{left:.0f}" y="{box.y}">{lines}</text>'
    )


# ---------------------------------------------------------------- from tapes and kernels to boxes


def tape_boxes(tape, forward):
    """A box for each operation; the first ``forward`` of them are the function's own."""
    made = {var: Box("input", [f"{var}: {var.type}"], []) for var in tape.inputs}
    boxes = list(made.values())
    for number, op in enumerate(tape.ops):
        parents = list(dict.fromkeys(made[var] for var in op.operands()))
        kind = "forward" if number < forward else "backward"
        lines = [f"{var} = {op.prim.name}" for var in op.outputs] + [f"{var.type}" for var in op.outputs]
        boxes.append(Box(kind, lines, parents))
        made.update({var: boxes[-1] for var in op.outputs})
    return boxes


def kernel_boxes(listing):
    """A box for each step of the schedule, with the operations in it."""
    made, boxes = {}, []
    for title, group in zip(listing.schedule, listing.groups, strict=True):
        read = [made.get(operand.value) for node in group.nodes for operand in node.operands() if operand.shape]
        parents = [box for box in dict.fromkeys(read) if box is not None]
        operations = [f"  {str(node).partition(' = ')[2] or node}" for node in group.nodes] if group.domain else []
        boxes.append(Box("kernel", [title, *operations], parents))
        made.update({value: boxes[-1] for node in group.nodes for value in node.outs})
    return boxes


def work(run):
    """A step is one of gradient descent on the function that is drawn."""
    random = numpy.random.default_rng(0)
    inputs, weights, bias = random.normal(size=(500, 40)), numpy.zeros(40), 0.0
    targets = (inputs @ random.normal(size=40) + random.normal(size=500) > 0.0).astype(float)
    both = value_and_grad(loss, (0, 1))
    slope = run.watch(jit(both)) if run.jit else both
    for _ in range(run.pick(full=2000, quick=50)):
        value, (for_weights, for_bias) = slope(weights, bias, inputs, targets)
        weights, bias = weights - 0.5 * for_weights, bias - 0.5 * for_bias
        yield value
    return weights, bias, inputs, targets


def files(folder, arguments):
    """The drawing."""
    compiled = jit(value_and_grad(loss, (0, 1)))
    forward = len(jit(loss).tape(*arguments).ops)
    panels = [
        ("the tape: the function, and its gradient", tape_boxes(compiled.tape(*arguments), forward)),
        ("what runs", kernel_boxes(compiled.kernels(*arguments))),
    ]
    path = folder / "draw_graph.svg"
    path.write_text(svg(panels))
    return [path]


EXAMPLE = Example(__file__, __doc__, work, files=files)

if __name__ == "__main__":
    main(EXAMPLE)
