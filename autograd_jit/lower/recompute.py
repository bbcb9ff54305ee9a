"""Computing again instead of storing and loading: along a row, and from one group to another."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from .graph import Graph, Map, Node, Piece, Reduce, Value, View

if TYPE_CHECKING:
    from .fuse import Group

__all__ = ["COST", "carried_values", "compute_again"]

#: operations that may be computed twice, and what they cost in additions
COST = {
    **dict.fromkeys(
        """add subtract multiply square negative absolute maximum minimum where cast copy positive equal not_equal less
        less_equal greater greater_equal and or xor not""".split(),
        1,
    ),
    **dict.fromkeys(["divide", "reciprocal", "sqrt"], 8),
}
#: cost of an operation that is never computed twice
TOO_MUCH = 1000
#: what is computed again rather than kept: its cost in additions, and what it loads
AGAIN_COST = 6
AGAIN_LOADS = 2


def carried_values(group: Group) -> set[Value]:
    """Mapped values that a group keeps in memory from one loop over a row to a later one.

    Others are computed again there: a few additions on at most as many loads take less time than a store and a load.
    """
    home = {node.out: stage for node, stage in zip(group.nodes, group.stages) if isinstance(node, Map)}
    later: set[Value] = set()
    for node, stage in zip(group.nodes, group.stages):
        later.update([view.value for view in node.reads if home.get(view.value, stage) < stage])
    of_rows = group.row_values.union([value for n in group.nodes if isinstance(n, Reduce) for value in n.outs])
    carried: set[Value] = set()
    work: dict[Value, tuple[int, frozenset]] = {}  # value -> cost, and what it loads
    for node in group.nodes:
        if not isinstance(node, Map):
            continue
        cost = COST.get(node.op, TOO_MUCH)
        loads: frozenset[View] = frozenset()
        for term in node.args:
            if isinstance(term, View):
                if term.value in work and term.value not in carried:
                    cost, loads = cost + work[term.value][0], loads | work[term.value][1]
                elif term.size > 1 and term.value not in of_rows:
                    loads |= {term}
        if node.out in group.row_values:
            continue
        work[node.out] = cost, loads
        if node.out in later and (cost > AGAIN_COST or len(loads) > AGAIN_LOADS):
            carried.add(node.out)
    return carried


# ---------------------------------------------------------------- from one group to another


def compute_again(graph: Graph, groups: list[Group]) -> list[Group]:
    """Groups that compute for themselves what they alone would read of an earlier group, where that is cheap.

    The derivative ``1 - t * t`` of ``t = tanh(x)`` is placed next to the tanh, which saves a load but costs a store. If
    ``t`` is in memory anyway, the backward pass can as well load that. A buffer that has been read is complete and not
    written again while another group reads it (the memory plan counts the repeated operations as readers), so that
    both come to the same.
    """
    homes: dict[Value, Group] = {}
    makers: dict[Value, tuple[int, Map]] = {}  # a value's map, and its place among all of them
    for group in groups:
        for node in group.nodes:
            if type(node) is Map:
                homes[node.out] = group
                makers[node.out] = len(makers), node
    readers = _readers(graph, groups, homes)
    scattering = {group for group in groups if _scatters(group)}
    uses: dict[Group, Counter[Value]] = {}  # how often a group's nodes read a value
    for value in list(readers):
        home = homes[value]
        reader = readers[value][0] if len(readers[value]) == 1 else None
        if reader is None or reader.domain != home.domain or value in home.row_values or reader in scattering:
            continue
        found = _chain(value, home, homes, makers, readers)
        if found is None:
            continue
        maps, loads = found
        new = [load for load in loads if load.size > 1 and load not in reader.loads]
        if len(new) > 1 or len(reader.nodes) + len(maps) > reader.most_operations:
            continue
        stages = set(reader.stages)
        if len(stages) > 1:
            stages = {s for node, s in zip(reader.nodes, reader.stages) if _reads(node, value)}
        stage = min(stages)
        known = set(map(id, reader.nodes))
        again = [node for node in maps if id(node) not in known]
        reader.nodes[:0], reader.stages[:0] = again, [stage] * len(again)
        reader.loads.update(new)
        if reader in uses:
            uses[reader].update([view.value for node in again for view in node.reads])
        readers[value] = []
        for load in loads:
            if load.value in homes and reader not in readers[load.value]:
                readers[load.value].append(reader)
        if home not in uses:
            uses[home] = Counter([view.value for node in home.nodes for view in node.reads])
        _drop_unread(home, maps, readers, uses[home])
    return [group for group in groups if group.nodes]


def _readers(graph: Graph, groups: list[Group], homes: dict[Value, Group]) -> dict[Value, list[Group | None]]:
    """The groups that read a mapped value from memory; None for an output, or a reader that needs it there."""
    found: dict[Value, list[Group | None]] = defaultdict(list)
    for out in graph.outputs:
        if isinstance(out, View) and out.value in homes:
            found[out.value].append(None)
    for group in groups:
        for node in group.nodes:
            for term in node.reads:
                if homes.get(term.value, group) is not group:  # most are of the group itself
                    by_element = group.domain is not None and term.is_dense and term.shape == group.domain
                    pointer = type(node) is Map and node.is_pointer(term)
                    place = group if by_element and not pointer else None
                    if place not in found[term.value]:
                        found[term.value].append(place)
    return found


def _chain(
    value: Value,
    home: Group,
    homes: dict[Value, Group],
    makers: dict[Value, tuple[int, Map]],
    readers: dict[Value, list[Group | None]],
) -> tuple[list[Map], set[View]] | None:
    """The maps of a value's group that compute it from what is in memory anyway, in order, and what they load; None
    where they cost too much."""
    wanted, loads = [value], []
    maps: list[tuple[int, Map]] = []
    cost = 0
    for each in wanted:  # grows on the way
        made = makers[each]
        maps.append(made)
        cost += COST.get(made[1].op, TOO_MUCH)
        if cost > AGAIN_COST:
            return None
        for term in made[1].reads:
            inner = term.value
            if homes.get(inner) is home and not readers.get(inner) and term.shape == home.domain and term.is_dense:
                if inner not in wanted:
                    wanted.append(inner)
            else:
                loads.append(term)
    return [node for _, node in sorted(maps)], set(loads)


def _reads(node: Node, value: Value) -> bool:
    return value in [view.value for view in node.reads]


def _scatters(group: Group) -> bool:
    """Whether a group runs element by element, at computed places: arithmetic stays out of it."""
    return any(isinstance(node, Piece) and node.position is not None for node in group.nodes)


def _drop_unread(
    group: Group, maps: list[Map], readers: dict[Value, list[Group | None]], uses: Counter[Value]
) -> None:
    """Take maps out of a group whose values nobody reads any more. ``uses``: how often the group's nodes read each."""
    for node in reversed(maps):
        if not readers.get(node.out) and not uses[node.out]:
            place = group.nodes.index(node)
            del group.nodes[place], group.stages[place]
            uses.subtract([view.value for view in node.reads])
