import ast

import numpy as np
import pytest

import autograd_jit.numpy as anp
from autograd_jit import grad
from autograd_jit.lower.listing import KernelEntry

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def listing():
    def loss(w):
        z = anp.tanh(inputs @ w)
        if anp.sum(z) > -1e9:
            z = anp.sin(z) + anp.i0(w[0])
        return anp.sum(z**2)

    inputs = np.random.default_rng(0).standard_normal((80, 60))
    w = np.random.default_rng(1).standard_normal((60, 50))
    with pytest.MonkeyPatch.context() as patch:  # products by BLAS on every machine
        patch.setattr("autograd_jit.lower.rules.products.pays", lambda *_: False)
        return grad(loss, jit=True).kernels(w)


def test_it_is_a_sequence_of_entries(listing):
    assert len(listing) == len(list(listing)) > 2
    assert all(isinstance(entry, KernelEntry) for entry in listing)
    assert listing[0].name == "kernel0"
    assert len({entry.compiled.kernel for entry in listing}) == len(listing)


def test_sources_are_python_and_ir(listing):
    for entry, source, llvm in zip(listing, listing.sources, listing.llvm, strict=True):
        (function,) = ast.parse(source).body
        assert function.name == entry.name
        assert llvm.startswith("define i64 @kernel(ptr %slots, ptr %args)")


def test_the_text_says_what_ran_how_often_and_how_it_came_to_be(listing):
    text = str(listing)
    for entry in listing:
        assert entry.source in text
        assert f"# {entry.name}: {len(entry.launches)} launch" in text
        assert ("compiled by llvm in" if entry.compiled.origin == "compiled" else "loaded from disk in") in str(entry)
    ast.parse(text)  # the whole listing is Python


def test_each_step_of_the_schedule_has_its_operations(listing):
    for line, group in zip(listing.schedule, listing.groups, strict=True):
        assert group.nodes
        assert (group.domain is not None) == line.startswith("kernel")
    assert sum("= sin(" in str(group) for group in listing.groups) == 1


def test_the_schedule_is_in_program_order(listing):
    schedule = listing.schedule
    positions = [
        next(i for i, line in enumerate(schedule) if part in line)
        for part in (
            "BLAS dgemm, 1 times 80x60 @ 60x50",
            "kernel0 over",
            "guard(bool(",
            "BLAS dgemm, 1 times 60x80 @ 80x50",
        )
    ]
    assert positions == sorted(positions)
    assert any("Python step" in line and "i0" in line for line in schedule)
    assert any("test_listing.py" in line and "if anp.sum" in line for line in schedule)  # the user's line
    assert len([line for line in schedule if line.startswith("kernel")]) == sum(len(e.launches) for e in listing)


def test_repeated_launches():
    def rollout(x):
        for _ in range(60):
            x = anp.sin(x)[::-1]
        return anp.sum(x)

    listing = grad(rollout, jit=True).kernels(np.ones(7))
    assert len(listing) < 12
    entry = max(listing, key=lambda entry: len(entry.launches))
    assert len(entry.launches) > 20 and entry.dims == [(7,)] * len(entry.launches)
    assert len(str(listing).splitlines()) < 200
