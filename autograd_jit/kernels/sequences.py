"""Native routines along one axis: recurrences, sorting and searching, convolution.

Routines of :mod:`autograd_jit.kernels.library`. Operands are (outer, along the axis, inner) for recurrences, rows
otherwise; results are dense. Sorting and the places of extrema are NumPy's own functions by address
(:mod:`autograd_jit.kernels.numpy_functions`), so that ties and NaN come out as NumPy orders them.
"""

from __future__ import annotations

from .subset import Ints, bools_at, call_for_status, ints_at, place, reals_at, ref, routine

__all__ = [
    "argsort",
    "convolve",
    "cumulative_product",
    "cumulative_sum",
    "extremum",
    "flatnonzero",
    "groups",
    "recurrence",
    "searchsorted",
]

UNSORTED = 2


@routine
def accumulate(slots: Ints, words: Ints, product: int) -> int:
    """Totals (or products) one after the other, in NumPy's order: no pairwise sums."""
    x = reals_at(place(slots, words, 12))
    out = reals_at(place(slots, words, 17))
    n = words[1]
    inner = words[2]
    for _ in range(words[0]):
        for j in range(inner):
            out[j] = x[j * words[16]]
        for i in range(1, n):
            for j in range(inner):
                before = out[(i - 1) * inner + j]
                term = x[i * words[15] + j * words[16]]
                out[i * inner + j] = before * term if product else before + term
        x = x + words[14]
        out = out + n * inner
    return 0


@routine
def cumulative_sum(slots: Ints, words: Ints) -> int:
    """``out = cumulative_sum(x)``. Numbers: outer, n, inner; none is zero."""
    return accumulate(slots, words, 0)


@routine
def cumulative_product(slots: Ints, words: Ints) -> int:
    """``out = cumulative_product(x)``. Numbers: outer, n, inner; none is zero."""
    return accumulate(slots, words, 1)


@routine
def recurrence(slots: Ints, words: Ints) -> int:
    """``s = recurrence(a, b)``: ``s[i] = a[i] * s[i - 1] + b[i]``. Numbers: outer, n, inner, whether the first
    step is like the others, from zero (else ``s[0] = b[0]``)."""
    a = reals_at(place(slots, words, 12))
    b = reals_at(place(slots, words, 17))
    out = reals_at(place(slots, words, 22))
    n = words[1]
    inner = words[2]
    for _ in range(words[0]):
        for j in range(inner):
            first = b[j * words[21]]
            out[j] = a[j * words[16]] * 0.0 + first if words[3] else first
        for i in range(1, n):
            for j in range(inner):
                factor = a[i * words[15] + j * words[16]]
                out[i * inner + j] = factor * out[(i - 1) * inner + j] + b[i * words[20] + j * words[21]]
        a = a + words[14]
        b = b + words[19]
        out = out + n * inner
    return 0


@routine
def argsort(slots: Ints, words: Ints) -> int:
    """``order = argsort(x)``, rows of dense memory. Numbers: rows, n, bytes of an element."""
    x = place(slots, words, 12)
    order = ints_at(place(slots, words, 17))
    n = words[1]
    nothing = 0
    for _ in range(words[0]):
        for i in range(n):
            order[i] = i
        if call_for_status(words[8], ints_at(x), order, n, ints_at(nothing)):
            return 1
        x = x + n * words[2]
        order = order + n
    return 0


@routine
def extremum(slots: Ints, words: Ints) -> int:
    """``index = extremum(x)``, of rows of dense memory. Numbers: rows, n, bytes of an element."""
    x = place(slots, words, 12)
    index = ints_at(place(slots, words, 17))
    n = words[1]
    nothing = 0
    for row in range(words[0]):
        found = 0
        if call_for_status(words[8], ints_at(x), n, ref(found), ints_at(nothing)):
            return 1
        index[row] = found
        x = x + n * words[2]
    return 0


@routine
def flatnonzero(slots: Ints, words: Ints) -> int:
    """``places = flatnonzero(mask)``, of dense memory. Numbers: 1, length of the mask, of the result (guarded)."""
    mask = bools_at(place(slots, words, 12))
    places = ints_at(place(slots, words, 17))
    count = words[2]
    found = 0
    for i in range(words[1]):
        if mask[i] and found < count:
            places[found] = i
            found += 1
    for i in range(found, count):
        places[i] = 0
    return 0


@routine
def groups(slots: Ints, words: Ints) -> int:
    """``index, inverse, counts, found = groups(order, starts)``: elements in sorted order, and for each but the first
    whether another group starts there. Numbers: 1, elements, groups (guarded by means of ``found``; whatever there are,
    no number is beyond them)."""
    order = ints_at(place(slots, words, 12))
    starts = bools_at(place(slots, words, 17))
    index = ints_at(place(slots, words, 22))
    inverse = ints_at(place(slots, words, 24))
    counts = ints_at(place(slots, words, 26))
    found = ints_at(place(slots, words, 28))
    count = words[2]
    for i in range(count):
        index[i] = 0
        counts[i] = 0
    group = 0
    index[0] = order[0]
    inverse[order[0]] = 0
    counts[0] = 1
    for i in range(1, words[1]):
        if starts[i - 1]:
            group += 1
            if group < count:
                index[group] = order[i]
        known = group if group < count else count - 1
        inverse[order[i]] = known
        counts[known] += 1
    found[0] = group + 1
    return 0


@routine
def precedes(x: float, y: float) -> int:
    """NumPy's order: NaN after all numbers."""
    if x < y:
        return 1
    return 1 if x == x and y != y else 0


@routine
def searchsorted(slots: Ints, words: Ints) -> int:
    """``places = searchsorted(a, v)``. Numbers: 1, length of ``a``, of ``v``, whether right of equal elements.

    Stops where ``a`` is not in order: what NumPy then finds depends on how it searches."""
    a = reals_at(place(slots, words, 12))
    v = reals_at(place(slots, words, 17))
    places = ints_at(place(slots, words, 22))
    n = words[1]
    right = words[3]
    for i in range(1, n):
        if precedes(a[i * words[15]], a[(i - 1) * words[15]]):
            return UNSORTED
    for k in range(words[2]):
        key = v[k * words[20]]
        low = 0
        high = n
        while low < high:
            middle = (low + high) // 2
            element = a[middle * words[15]]
            further = not precedes(key, element) if right else precedes(element, key) != 0
            if further:
                low = middle + 1
            else:
                high = middle
        places[k] = low
    return 0


@routine
def convolve(slots: Ints, words: Ints) -> int:
    """``out = convolve(a, v)``, the full convolution of two vectors. Numbers: 1, lengths of ``a`` and of ``v``."""
    a = reals_at(place(slots, words, 12))
    v = reals_at(place(slots, words, 17))
    out = reals_at(place(slots, words, 22))
    n = words[1]
    m = words[2]
    for i in range(n + m - 1):
        out[i] = 0.0
    for j in range(m):
        weight = v[j * words[20]]
        for i in range(n):
            out[i + j] += a[i * words[15]] * weight
    return 0
