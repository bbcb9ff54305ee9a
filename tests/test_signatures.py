"""Signatures of arguments and keys of operators."""

import numpy as np

from autograd_jit import grad, signatures


def operator(argnum):
    return signatures.Build(grad, (argnum,))


def test_operators_of_one_kind_share_a_key():
    assert signatures.build_key(operator(0)) != signatures.build_key(operator(1))
    first = operator((0, 1))
    assert signatures.build_key(first) == signatures.build_key(first)


def test_an_operator_that_holds_something_unhashable_is_like_no_other():
    """Ids would be given to other lists later, and another operator's program would be found."""
    build = operator([0, 1])
    assert signatures.build_key(build) != signatures.build_key(build)
    for round_ in range(200):
        forward = round_ // 2 % 2  # two rounds each, or the two orders would get the same two ids in turn
        order = [0, 1] if forward else [1, 0]
        first, second = grad(lambda a, b: a * a * b, order, jit=True)(2.0, 3.0)
        assert (first, second) == ((12.0, 4.0) if forward else (4.0, 12.0))


def test_signatures_tell_what_programs_depend_on():
    x = np.ones(3)
    assert signatures.leaf_signature(x) == signatures.leaf_signature(x + 1)
    different = [x, x[:2], x.astype("f4"), 1.0, 1, True, np.float64(1.0), "a", None]
    assert len({signatures.leaf_signature(leaf) for leaf in different}) == len(different)
