"""Captured state: what a function reads besides its arguments is an input, guarded, or a reason to stop."""

from __future__ import annotations

import builtins
import collections
import enum
import functools
import itertools
import math
import random
import sys
import textwrap
import threading
import time
import timeit
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd_jit.trace import captures as captures_module
from autograd_jit.trace.capture_values import plain_key
from autograd_jit.trace.capture_walk import REBUILDABLE_MARK
from autograd_jit.trace.captures import Captures, clone_with, scan

modules = itertools.count()


@pytest.fixture(autouse=True)
def modules_of_programs_are_taken_back():
    """Others that look through sys.modules (hypothesis does) must not meet the odd ones made here."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("user_module_") or name == "zmod":
            del sys.modules[name]


def program(source: str, **names: object) -> Any:
    """A user's module, made of `source`; attributes are its globals, and setting them rebinds them."""
    module = types.ModuleType(f"user_module_{next(modules)}")
    vars(module).update(np=np, **names)
    sys.modules[module.__name__] = module  # dataclasses look their module up
    exec(compile(textwrap.dedent(source), "user.py", "exec"), vars(module))
    return module


def fresh(fn: object) -> Captures:
    """A scan that reuses nothing known."""
    captures_module._recent.clear()
    return scan(fn)


def paths(captures: Captures) -> list[tuple[str, ...]]:
    return [array.paths for array in captures.arrays]


def close_over(value: object):
    return lambda x: (value, x)


# -- by value -----------------------------------------------------------------------------------------------

SCALARS = [
    0, 1, True, False, 0.0, -0.0, 1.0, 2.5, math.nan, math.inf, 1j, complex(0.0, -0.0), "a", b"a", "", None,
    ..., np.float64(1.0), np.float32(1.0), np.int64(1), np.bool_(True), np.dtype("f4"), range(3), slice(0, 2),
    (), (1,), (1.0,), [1], [1.0], [True], [[1, 2], [3]], [[1, 2], [4]], {"a": 1}, {"a": 1.0}, {"b": 1},
    {1: 0}, {1.0: 0}, {1}, {True}, frozenset([1]), [-0.0], [0.0], {"a": 1, "b": 2}, {"b": 2, "a": 1}, 10**40,
    [math.nan],
]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_values_are_guarded_by_value_and_exact_type(value):
    fn = close_over(value)
    captures = fresh(fn)
    assert captures.unsound is None
    for other in SCALARS:
        expected = plain_key(other) == plain_key(value)
        assert expected is (other is value)
        assert captures.check(close_over(other)) is expected
        assert (fresh(close_over(other)).structure_key == captures.structure_key) is expected


def test_an_equal_value_of_another_identity_passes():
    captures = fresh(close_over([float("1.5"), (int("1000"), "ab" * 3)]))
    assert captures.check(close_over([float("1.5"), (int("1000"), "ab" * 3)]))
    assert fresh(close_over(float("nan"))).check(close_over(float("nan")))


plain = st.recursive(
    st.one_of(st.integers(-2, 2), st.floats(), st.booleans(), st.none(), st.text(max_size=2)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text(max_size=2), inner, max_size=3),
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(plain, plain)
def test_check_agrees_with_the_structure_key(first, second):
    captures = fresh(close_over(first))
    same = fresh(close_over(second)).structure_key == captures.structure_key
    assert captures.check(close_over(second)) is same
    assert captures.check(close_over(first))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_change_inside_a_container_is_seen(data):
    value = data.draw(st.lists(st.one_of(st.integers(0, 3), st.lists(st.integers(0, 3), max_size=3)), max_size=4))
    captures = fresh(fn := close_over(value))
    assert captures.check(fn)
    target = data.draw(st.sampled_from([value, *(inner for inner in value if isinstance(inner, list))]))
    before = repr(value)
    if target and data.draw(st.booleans()):
        target[data.draw(st.integers(0, len(target) - 1))] = data.draw(st.integers(0, 3))
    else:
        target.append(data.draw(st.integers(0, 3)))
    assert captures.check(fn) is (repr(value) == before)


def test_big_containers_of_numbers_are_compared_with_a_copy():
    value = list(map(float, range(10_000)))
    captures = fresh(fn := close_over(value))
    assert captures.check(fn)
    value[5_000] += 1
    assert not captures.check(fn)


def test_a_containers_elements_of_any_kind_are_followed():
    user = program(
        "def relu(x): return x\ndef other(x): return -x\nlayers = [(relu, 3)]\ndef f(x): return layers[0][0](x)"
    )
    captures = fresh(user.f)
    assert captures.check(user.f)
    user.layers[0] = (user.other, 3)
    assert not captures.check(user.f)
    user.layers[0] = (user.relu, 3)
    assert captures.check(user.f)
    user.layers.append(1)
    assert not captures.check(user.f)


def test_containers_that_contain_themselves():
    loop: list[object] = [np.ones(2)]
    loop.append(loop)
    captures = fresh(fn := close_over(loop))
    assert captures.unsound is None and captures.check(fn)
    loop[1] = [loop[0], loop]
    assert not captures.check(fn)


def test_deques_and_defaultdicts():
    queue = collections.deque([np.ones(2)], maxlen=3)
    table = collections.defaultdict(list, a=np.ones(2))
    captures = fresh(fn := lambda x: (queue, table, x))
    assert captures.check(fn) and len(captures.held_arrays) == 2
    queue.append(1)
    assert not captures.check(fn)
    queue.pop()
    table["b"]
    assert not captures.check(fn)


def test_enums_and_dtypes():
    class Mode(enum.Enum):
        A = 1
        B = 2

    captures = fresh(close_over(Mode.A))
    assert captures.check(close_over(Mode.A)) and not captures.check(close_over(Mode.B))


def test_numbers_of_a_users_own_type():
    class Rate(float):
        pass

    captures = fresh(close_over(Rate(0.5)))
    assert captures.check(close_over(Rate(0.5)))
    assert not captures.check(close_over(Rate(0.6))) and not captures.check(close_over(0.5))


# -- direct arrays ------------------------------------------------------------------------------------------


def test_direct_arrays_of_every_kind_of_variable():
    user = program("X = np.ones(2)\ndef f(x, d=np.ones(3), *, k=np.ones(4)): return x, X, d, k")
    captures = fresh(user.f)
    assert sorted(array.shape for array in captures.arrays) == [(2,), (3,), (4,)]
    assert captures.held_arrays == ()
    part = functools.partial(user.f, np.ones(5), k=np.ones(6))
    captures = fresh(part)
    assert sorted(array.shape for array in captures.arrays) == [(2,), (3,), (4,), (5,), (6,)]
    assert [array.shape for array in captures.bind(part)] == [array.shape for array in captures.arrays]


def test_a_rebound_array_of_the_same_kind_is_bound():
    user = program("X = np.zeros(3)\ndef f(x): return x * X")
    captures = fresh(user.f)
    user.X = np.ones(3)
    assert captures.check(user.f) and captures.bind(user.f)[0] is user.X


@pytest.mark.parametrize(
    "other",
    [
        np.zeros(4),
        np.zeros(3, "f4"),
        np.zeros((3, 1)),
        np.zeros(6)[::2],
        np.zeros(3).view(np.matrix),
        0.0,
        [0.0],
    ],
    ids=repr,
)
def test_a_rebound_array_of_another_kind_is_seen(other):
    user = program("X = np.zeros(3)\ndef f(x): return x * X")
    captures = fresh(user.f)
    user.X = other
    assert not captures.check(user.f)
    assert "`X`" in captures.explain_change(user.f)


def test_a_change_of_shape_in_place_is_seen():
    array = np.zeros(6)
    captures = fresh(fn := close_over(array))
    array.resize((2, 3), refcheck=False)
    assert not captures.check(fn)
    assert captures.check_values(fn)


def test_captures_do_not_keep_direct_arrays_alive():
    import weakref

    array = np.zeros(6)
    captures = fresh(close_over(array))
    captures.check(close_over(array))
    dying = weakref.ref(array)
    del array
    assert dying() is None


def test_two_variables_of_one_array_are_one_capture():
    array = np.ones(3)
    first, second = array, array
    captures = fresh(fn := lambda x: x * first + second)
    assert paths(captures) == [("first", "second")]
    assert clone_with(fn, captures, [10.0]).call(2.0) == 30.0
    second = np.ones(3)
    assert not captures.check(fn)


def test_arrays_that_become_one_are_seen_where_identity_is_compared():
    first, second = np.ones(3), np.ones(3)
    captures = fresh(fn := lambda x: 1 if first is second else 2)
    assert captures.check(fn)
    second = first
    assert not captures.check(fn)


# -- fresh closures -----------------------------------------------------------------------------------------


def make_loss(data, n, helper=None):
    def loss(p):
        return np.sum(p * data) * n if helper is None else helper(p * data)

    return loss


def test_a_fresh_closure_shares_structure_and_binds_its_own_arrays():
    first, second = make_loss(np.ones(3), 2), make_loss(np.zeros(3), 2)
    captures = fresh(first)
    assert scan(second) is captures
    assert fresh(second).structure_key == captures.structure_key
    assert captures.bind(second)[0][0] == 0 and captures.bind(first)[0][0] == 1
    assert fresh(make_loss(np.ones(3), 3)).structure_key != captures.structure_key
    assert fresh(make_loss(np.ones(4), 2)).structure_key != captures.structure_key


def test_fresh_partials_lambdas_and_inner_closures():
    def fit(data):
        scale = np.full(3, 2.0)
        return functools.partial(make_loss(data, 2, lambda y: np.sum(y * scale)))

    captures = fresh(fit(np.ones(3)))
    assert len(captures.arrays) == 2
    assert scan(other := fit(np.zeros(3))) is captures
    assert clone_with(other, captures, [10.0, 100.0]).call(1.0) == 1000.0


def test_fresh_bound_methods_share_structure():
    class Model:
        def __init__(self, rate):
            self.rate = rate

        def loss(self, x):
            return x * self.rate

    captures = fresh(Model(2.0).loss)
    assert captures.unsound is None
    assert scan(Model(2.0).loss) is captures
    assert fresh(Model(2.0).loss).structure_key == captures.structure_key
    assert fresh(Model(3.0).loss).structure_key != captures.structure_key


def test_another_function_of_another_code_is_not_the_same():
    captures = fresh(make_loss(np.ones(3), 2))
    assert not captures.check(lambda p: p) and not captures.check(len) and not captures.check(None)


# -- functions ----------------------------------------------------------------------------------------------


def test_redefining_a_global_helper_is_seen():
    user = program("def helper(x): return x\ndef f(x): return helper(x)")
    captures = fresh(user.f)
    exec("def helper(x): return 2 * x", vars(user))
    assert not captures.check(user.f)
    assert "`helper`" in captures.explain_change(user.f)


def test_code_replaced_in_place_is_seen():
    user = program("def helper(x): return x\ndef f(x): return helper(x)")
    captures = fresh(user.f)
    user.helper.__code__ = (lambda x: 2 * x).__code__
    assert not captures.check(user.f)


def test_state_of_helpers_of_helpers():
    user = program(
        "rate = 1.0\ndef g(x): return x * rate\ndef h(x): return [g(x) for _ in range(2)]\ndef f(x): return h(x)"
    )
    captures = fresh(user.f)
    user.rate = 2.0
    assert not captures.check(user.f)
    assert captures.explain_change(user.f) == "`rate` changed from 1.0 to 2.0"


def test_globals_that_come_to_hide_builtins_or_to_exist():
    user = program("def f(x):\n    try:\n        return scale * sum(x)\n    except NameError:\n        return 0")
    captures = fresh(user.f)
    user.scale = 2
    assert not captures.check(user.f)
    del user.scale
    assert captures.check(user.f)
    user.sum = max
    assert not captures.check(user.f)


def test_default_arguments():
    def f(x, rate=1.0, *, power=2):
        return rate * x**power

    captures = fresh(f)
    assert captures.check(f)
    f.__defaults__ = (2.0,)
    assert not captures.check(f)
    f.__defaults__ = (1.0,)
    f.__kwdefaults__["power"] = 3
    assert not captures.check(f)


def test_function_attributes():
    user = program("def f(x): return f.rate * x\nf.rate = 1.0")
    captures = fresh(user.f)
    assert captures.check(user.f)
    user.f.rate = 2.0
    assert not captures.check(user.f)


def test_decorators_with_wraps_and_lru_cache():
    user = program(
        """
        import functools
        rate, other = 1.0, 1.0
        def decorate(fn):
            @functools.wraps(fn)
            def wrapper(*args): return fn(*args) * rate
            return wrapper
        @decorate
        def f(x): return x * other
        @functools.lru_cache
        def table(n): return n * rate
        def g(x): return x * table(3)
        """
    )
    captures = fresh(user.f)
    user.other = 2.0
    assert not captures.check(user.f)
    user.other = 1.0
    assert captures.check(user.f)
    assert "keeps its answers" in fresh(user.g).unsound


def test_recursion_and_empty_cells():
    def countdown(n):
        return 0 if n == 0 else countdown(n - 1) + len(later)

    captures = fresh(countdown)
    assert captures.check(countdown)
    later = "abc"
    assert not captures.check(countdown)


def test_user_functions_inside_library_wrappers():
    user = program(
        """
        import contextlib
        rate = 1.0
        @contextlib.contextmanager
        def scaled(): yield rate
        slow = np.vectorize(lambda x: x * rate)
        def f(x):
            with scaled() as s: return s * x
        def g(x): return slow(x)
        """
    )
    for fn in (user.f, user.g):
        user.rate = 1.0
        captures = fresh(fn)
        assert captures.unsound is None and captures.check(fn)
        user.rate = 2.0
        assert not captures.check(fn)


def test_a_rebuildable_library_wrapper():
    data = np.ones(2)
    wrapper = types.FunctionType(
        make_loss(data, 1).__code__, {"__name__": "autograd_jit.operators", "np": np}, "g", None,
        make_loss(data, 1).__closure__,
    )  # fmt: skip
    captures = fresh(wrapper)
    assert captures.arrays == () and captures.held_arrays == (data,)
    setattr(wrapper, REBUILDABLE_MARK, True)
    assert len(fresh(wrapper).arrays) == 1


# -- objects ------------------------------------------------------------------------------------------------

MODEL = """
class Base:
    scale = 1.0
    def shift(self): return 0.0
class Model(Base):
    def __init__(self, rate): self.rate, self.unused, self.W = rate, 0, np.ones(2)
    @property
    def double(self): return 2 * self.hidden
    @staticmethod
    def half(x): return x / divisor
    @classmethod
    def make(cls): return cls.scale
    def __call__(self, x):
        return self.half(x) * self.rate * self.double * self.scale + self.shift() + self.make()
    hidden = 3.0
divisor = 2.0
model = Model(0.5)
def f(x): return model(x)
"""


@pytest.mark.parametrize("through", ["f", "model", "method"])
@pytest.mark.parametrize(
    "change",
    [
        "model.rate = 1.0",
        "model.hidden = 1.0",
        "Model.hidden = 1.0",
        "Base.scale = 2.0",
        "Model.scale = 2.0",
        "model.scale = 2.0",
        "Base.shift = lambda self: 1.0",
        "model.shift = lambda: 1.0",
        "divisor = 3.0",
        "model.half = lambda x: x",
        "Model.double = property(lambda self: 1.0)",
        "Model.make = classmethod(lambda cls: 5.0)",
        "Model.__call__ = lambda self, x: x",
        "model.__class__ = type('Other', (Model,), {})",
        "del model.rate",
    ],
)
def test_what_an_object_holds_or_inherits(change, through):
    user = program(MODEL)
    fn = {"f": user.f, "model": user.model, "method": user.model.__call__}[through]
    captures = fresh(fn)
    assert captures.unsound is None and captures.check(fn) and captures.arrays == ()
    user.model.unused += 1
    assert captures.check(fn)
    exec(change, vars(user))
    assert not captures.check(fn)
    assert captures.explain_change(fn)


@pytest.mark.parametrize(
    "make",
    [
        "class C: pass\nc = C()\nc.W = np.ones(3)",
        "class C: __slots__ = ('W', '__weakref__')\nc = C()\nc.W = np.ones(3)",
        "import types\nc = types.SimpleNamespace(W=np.ones(3))",
        "import collections\nc = collections.namedtuple('C', 'W b')(np.ones(3), 'b')",
        "import dataclasses\n@dataclasses.dataclass(frozen=True, slots=True)\nclass C:\n W: object\nc = C(np.ones(3))",
    ],
)
def test_arrays_in_attributes_are_inputs(make):
    user = program(make + "\ndef f(x): return x @ c.W")
    captures = fresh(user.f)
    assert captures.arrays[0].paths[0].startswith("c") and captures.held_arrays == ()
    assert captures.bind(user.f)[0] is user.c.W
    clone = clone_with(user.f, captures, [np.full(3, 2.0)])
    assert clone.call(np.ones(3)) == 6.0 and user.f(np.ones(3)) == 3.0 and clone.altered() is None
    user.c = object()
    assert not captures.check(user.f)


def test_another_object_of_the_same_class_shares_the_structure():
    user = program("class C:\n def __init__(self, W): self.W = W\n def f(self, x): return x @ self.W")
    captures = fresh(user.C(np.ones(3)).f)
    other = user.C(np.arange(3.0))
    assert captures.check(other.f) and captures.bind(other.f)[0] is other.W
    assert fresh(other.f).structure_key == captures.structure_key
    assert clone_with(other.f, captures, [np.full(3, 2.0)]).call(np.ones(3)) == 6.0


@pytest.mark.parametrize(
    "holder",
    [
        "class C:\n def __del__(self): pass\nc = C()\nc.W = np.ones(3)",
        "class C:\n def __getattribute__(self, name): return object.__getattribute__(self, name)\n"
        "c = C()\nc.W = np.ones(3)",
        "class C:\n W = np.ones(3)\nc = C()",
        "import enum\nclass C(enum.Enum):\n W = np.ones(3)\nc = C",
        "class C:\n def g(self): return hash(self)\nc = C()\nc.W = np.ones(3)",
    ],
)
def test_arrays_in_objects_that_are_more_than_their_attributes_are_no_inputs(holder):
    user = program(holder + "\ndef f(x): return x @ c.W if hasattr(c, 'g') is False else x @ c.W * c.g()")
    assert fresh(user.f).arrays == ()


def test_a_clone_that_is_changed_says_so():
    make = "class C: pass\nc = C()\nc.W, c.parts = np.ones(3), [np.ones(2)]\n"
    user = program(make + "def f(x): return x @ c.W * c.parts[0].sum()")
    captures = fresh(user.f)
    for change in ["c.W = 3", "c.new = 3", "del c.W", "c.parts.append(1)", "c.parts[0] = 1"]:
        clone = clone_with(user.f, captures, [1.0, 2.0])
        assert clone.altered() is None
        exec(change, {"c": clone.call.__globals__["c"]})
        assert clone.altered() is not None
    assert user.c.W.shape == (3,) and len(user.c.parts) == 1


def test_slots_and_namedtuples():
    user = program(
        """
        import collections
        class S:
            __slots__ = ("rate", "missing")
        s = S(); s.rate = 1.0
        P = collections.namedtuple("P", "a b")
        p = P(1.0, np.ones(2))
        def f(x): return s.rate * p.a * getattr(s, "missing", 1)
        """
    )
    captures = fresh(user.f)
    assert captures.check(user.f) and len(captures.arrays) == 1 and captures.opaque == ()
    user.s.rate = 2.0
    assert not captures.check(user.f)
    user.s.rate = 1.0
    user.s.missing = 4
    assert not captures.check(user.f)
    del user.s.missing
    user.p = user.P(2.0, user.p.b)
    assert not captures.check(user.f)


@pytest.mark.parametrize(
    "body",
    [
        'getattr(cfg, "lr") * x',
        'vars(cfg)["lr"] * x',
        'cfg.__dict__["lr"] * x',
        'operator.attrgetter("lr")(cfg) * x',
        "get(cfg) * x",
        "dataclasses.asdict(cfg)['lr'] * x",
        "copy.copy(cfg)",
        "dataclasses.replace(cfg)",
        "[v for v in cfg.__dict__.values()]",
    ],
)
def test_attributes_read_by_other_means(body):
    user = program(
        f"""
        import dataclasses, operator, copy
        @dataclasses.dataclass
        class Cfg:
            lr: float = 1.0
        cfg = Cfg()
        get = operator.attrgetter("lr")
        def f(x): return {body}
        """
    )
    captures = fresh(user.f)
    assert captures.unsound is None and captures.check(user.f)
    user.cfg.lr = 2.0
    assert not captures.check(user.f)


def test_match_statements_read_attributes():
    user = program(
        """
        class Cfg: pass
        cfg = Cfg(); cfg.lr = 1.0
        def f(x):
            match cfg:
                case Cfg(lr=rate): return rate * x
        """
    )
    captures = fresh(user.f)
    user.cfg.lr = 2.0
    assert not captures.check(user.f)


def test_a_class_that_is_instantiated():
    user = program("bias = 1.0\nclass C:\n    def __init__(self): self.b = bias\ndef f(x): return C().b * x")
    captures = fresh(user.f)
    assert captures.unsound is None and captures.check(user.f)
    user.bias = 2.0
    assert not captures.check(user.f)


def test_modules_of_the_user():
    module = types.ModuleType("settings_of_user")
    module.lr, module.W, module.unused = 1.0, np.ones(2), 0
    user = program("def f(x): return x * cfg.lr + cfg.W", cfg=module)
    captures = fresh(user.f)
    assert captures.held_arrays == (module.W,)
    module.unused = 1
    assert captures.check(user.f)
    module.lr = 2.0
    assert not captures.check(user.f)


def test_imports_inside_the_function(monkeypatch):
    module = types.ModuleType("late_user_module")
    module.lr = 1.0
    user = program("def f(x):\n    from late_user_module import lr\n    import math\n    return x * lr + math.pi")
    assert "late_user_module" in fresh(user.f).unsound
    monkeypatch.setitem(sys.modules, "late_user_module", module)
    captures = fresh(user.f)
    assert captures.unsound is None and captures.check(user.f)
    module.lr = 2.0
    assert not captures.check(user.f)


def test_custom_attribute_access_is_refused():
    class Odd:
        def __getattribute__(self, name):
            return object.__getattribute__(self, name)

    assert "__getattribute__" in fresh(close_over(Odd())).unsound


def test_array_subclasses_and_object_arrays():
    class Tagged(np.ndarray):
        pass

    tagged = np.ones(3).view(Tagged)
    tagged.rate = 1.0
    captures = fresh(fn := lambda x: x * tagged.rate)
    assert captures.arrays == () and captures.held_arrays[0] is tagged
    tagged.rate = 2.0
    assert not captures.check(fn)
    assert fresh(close_over(np.array([object()]))).unsound
    assert fresh(close_over(np.ma.array([1.0]))).unsound


def test_identity_only_objects_are_listed():
    def opaque(value):
        return [path for path, _ in fresh(close_over(value)).opaque]

    assert opaque(threading.local()) == ["value"] and opaque(threading.Lock()) == [] and opaque(object()) == []
    assert opaque(collections.Counter()) == []
    assert opaque(np.frompyfunc(lambda x: x, 1, 1)) == ["value"]
    import array

    assert opaque(array.array("d", [1.0])) == ["value"]


# -- randomness, clocks, effects ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rng", [np.random.default_rng(0), np.random.RandomState(0), random.Random(0)], ids=lambda rng: type(rng).__name__
)
def test_random_generators_are_listed(rng):
    class Holder:
        pass

    holder = Holder()
    holder.rng = rng
    assert fresh(close_over(rng)).generators == (("value", rng),)
    assert fresh(lambda: holder.rng).generators == (("holder.rng", rng),)
    draw = rng.normal if hasattr(rng, "normal") else rng.gauss
    assert [found for _, found in fresh(lambda: draw()).generators] == [rng]


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("time.time()", "time.time"),
        ("tick()", "time.perf_counter"),
        ("random.random()", "random.random"),
        ("np.random.randn(3)", "numpy.random.randn"),
        ("np.random.default_rng()", "default_rng"),
        ("os.environ['HOME']", "os.environ"),
        ("os.environ.get('HOME')", "os.environ"),
        ("datetime.datetime.now()", "datetime.datetime.now"),
        ("uuid.uuid4()", "uuid.uuid4"),
        ("secrets.token_bytes()", "secrets"),
        ("clock.now()", "time.monotonic"),
        ("[tick() for _ in x]", "time.perf_counter"),
    ],
)
def test_impure_calls_are_named_with_their_lines(expression, name):
    user = program(
        f"""
        import time, random, os, datetime, uuid, secrets
        from time import perf_counter as tick
        class Clock: pass
        clock = Clock(); clock.now = time.monotonic
        def f(x): return {expression}
        """
    )
    (found,) = fresh(user.f).impure[:1]
    assert name in found
    assert "user.py:6" in found or "`" in found


def test_a_pure_function_is_not_accused():
    user = program(
        "import time, random, os\ndef f(x): return np.exp(x) + np.linalg.norm(x) + np.sort(x)[0] + os.path.sep"
    )
    captures = fresh(user.f)
    assert (captures.unsound, captures.impure, captures.effects, captures.opaque) == (None, (), (), ())


def test_effects_are_listed():
    user = program(
        "import warnings, logging\ndef f(x):\n    print(x)\n    warnings.warn('w')\n    logging.info('x')\n    return x"
    )
    captures = fresh(user.f)
    assert captures.unsound is None
    assert captures.effects == ("print", "_warnings.warn", "logging.info")


@pytest.mark.parametrize("call", ["open('x')", "eval('1')", "exec('1')", "globals()", "locals()", "input()"])
def test_calls_out_of_sight_are_unsound(call):
    user = program(f"def f(x):\n    return {call}")
    assert call.partition("(")[0] in fresh(user.f).unsound
    assert "user.py:2" in fresh(user.f).unsound


@pytest.mark.parametrize(
    "value",
    [iter([1]), (i for i in "ab"), itertools.count(), zip([1], [2]), map(abs, [1])],
    ids=lambda it: type(it).__name__,
)
def test_iterators_are_unsound(value):
    assert "iterator" in fresh(close_over(value)).unsound


def test_open_files_are_unsound():
    with open(__file__) as file:
        assert "open file" in fresh(close_over(file)).unsound


# -- programs written to slip through ----------------------------------------------------------------------

ATTACKS = {
    "AttrDict": (
        """
        class AD(dict):
            def __getattr__(self,k): return self[k]
        cfg=AD(lr=1.)
        def f(x): return cfg.lr*x
        """,
        "cfg['lr']=2.",
    ),
    "userdict": (
        """
        import collections
        d=collections.UserDict(a=1.)
        def f(x): return d['a']*x
        """,
        "d['a']=2.",
    ),
    "chainmap": (
        """
        import collections
        d=collections.ChainMap({'a':1.})
        def f(x): return d['a']*x
        """,
        "d.maps[0]['a']=2.",
    ),
    "counter": (
        """
        import collections
        d=collections.Counter('aab')
        def f(x): return d['a']*x
        """,
        "d['a']=7",
    ),
    "bytearray": (
        """
        b=bytearray(b'ab')
        def f(x): return b[0]*x
        """,
        "b[0]=1",
    ),
    "metaclass": (
        """
        class M(type):
            rate=1.
            def get(cls): return cls.rate
        class C(metaclass=M): pass
        def f(x): return C.get()*x
        """,
        "M.rate=2.",
    ),
    "metaclass call": (
        """
        class M(type):
            def __call__(cls,*a): return rate
        class C(metaclass=M): pass
        rate=1.
        def f(x): return C()*x
        """,
        "rate=2.",
    ),
    "descriptor": (
        """
        class D:
            def __get__(s,o,t): return o.raw*s.k
        class C:
            v=D()
        C.__dict__['v'].k=1.
        c=C(); c.raw=2.
        def f(x): return c.v*x
        """,
        "c.raw=3.",
    ),
    "descriptor k": (
        """
        class D:
            def __get__(s,o,t): return o.raw*s.k
        class C:
            v=D()
        C.__dict__['v'].k=1.
        c=C(); c.raw=2.
        def f(x): return c.v*x
        """,
        "C.__dict__['v'].k=3.",
    ),
    "partialmethod": (
        """
        import functools
        class C:
            def a(self,k,x): return k*x*self.r
            b=functools.partialmethod(a,2.)
        c=C(); c.r=1.
        def f(x): return c.b(x)
        """,
        "c.r=2.",
    ),
    "partialmethod2": (
        """
        import functools
        K=[2.]
        class C:
            def a(self,k,x): return k[0]*x
            b=functools.partialmethod(a,K)
        c=C()
        def f(x): return c.b(x)
        """,
        "K[0]=3.",
    ),
    "singledispatch": (
        """
        import functools
        r=1.
        @functools.singledispatch
        def g(x): return x*r
        @g.register(float)
        def _(x): return x*q
        q=1.
        def f(x): return g(x)
        """,
        "q=2.",
    ),
    "singledispatch new": (
        """
        import functools
        @functools.singledispatch
        def g(x): return x
        def f(x): return g(x)
        """,
        "g.register(float)(lambda x: 7.)",
    ),
    "sorted key": (
        """
        tab={'a':1.}
        def key(v): return tab['a']
        def f(x): return sorted([1,2],key=key)
        """,
        "tab['a']=2.",
    ),
    "default mutable": (
        """
        def f(x,acc=[1.]): return x*acc[0]
        """,
        "f.__defaults__[0][0]=2.",
    ),
    "nested closure": (
        """
        def mk():
            n=1.
            def setn(v):
                nonlocal n
                n=v
            def f(x):
                def g(): return n
                return g()*x
            return f,setn
        f,setn=mk()
        """,
        "setn(2.)",
    ),
    "class closure": (
        """
        def mk():
            n=1.
            def setn(v):
                nonlocal n
                n=v
            class K:
                def m(self,x): return n*x
            k=K()
            def f(x): return k.m(x)
            return f,setn
        f,setn=mk()
        """,
        "setn(2.)",
    ),
    "format": (
        """
        class C: pass
        c=C(); c.lr=1.
        def f(x): return float('{0.lr}'.format(c))*x
        """,
        "c.lr=2.",
    ),
    "fstring repr": (
        """
        class C:
            def __repr__(self): return str(self.lr)
        c=C(); c.lr=1.
        def f(x): return float(f'{c!r}')*x
        """,
        "c.lr=2.",
    ),
    "str()": (
        """
        class C:
            def __str__(self): return str(self.lr)
        c=C(); c.lr=1.
        def f(x): return float(str(c))*x
        """,
        "c.lr=2.",
    ),
    "float()": (
        """
        class C:
            def __float__(self): return self.lr
        c=C(); c.lr=1.
        def f(x): return float(c)*x
        """,
        "c.lr=2.",
    ),
    "iter": (
        """
        class C:
            def __iter__(self): return iter(self.vals)
        c=C(); c.vals=[1.]
        def f(x): return sum(c)*x
        """,
        "c.vals.append(2.)",
    ),
    "np.asarray": (
        """
        class C:
            def __array__(self,dtype=None,copy=None): return np.array(self.vals)
        c=C(); c.vals=[1.]
        def f(x): return np.asarray(c)*x
        """,
        "c.vals.append(2.)",
    ),
    "dunder via lib base": (
        """
        import collections.abc
        class C(collections.abc.Mapping):
            def __init__(s,d): s.d=d
            def __getitem__(s,k): return s.d[k]
            def __iter__(s): return iter(s.d)
            def __len__(s): return len(s.d)
        c=C({'a':1.})
        def f(x): return c.get('a')*x
        """,
        "c.d['a']=2.",
    ),
    "mangled": (
        """
        class C:
            def __init__(s): s.__r=1.
            def m(s,x): return s.__r*x
        c=C()
        def f(x): return c.m(x)
        """,
        "c._C__r=2.",
    ),
    "enum val": (
        """
        import enum
        class E(enum.Enum):
            A=[1.]
        def f(x): return E.A.value[0]*x
        """,
        "E.A.value[0]=2.",
    ),
    "enum method": (
        """
        import enum
        r=1.
        class E(enum.Enum):
            A=1
            def m(self,x): return r*x
        m=E.A
        def f(x): return m.m(x)
        """,
        "r=2.",
    ),
    "namedtuple list": (
        """
        import collections
        P=collections.namedtuple('P','a')
        p=P([1.])
        def f(x): return p.a[0]*x
        """,
        "p.a[0]=2.",
    ),
    "func dict other": (
        """
        def g(x): return x
        g.r=1.
        def f(x): return g.r*x
        """,
        "g.r=2.",
    ),
    "itemgetter": (
        """
        import operator
        d={'a':1.}
        g=operator.itemgetter('a')
        def f(x): return g(d)*x
        """,
        "d['a']=2.",
    ),
    "methodcaller": (
        """
        import operator
        class C:
            def m(self): return self.r
        c=C(); c.r=1.
        g=operator.methodcaller('m')
        def f(x): return g(c)*x
        """,
        "c.r=2.",
    ),
    "list is": (
        """
        A=[]
        B=A
        def f(x): return 1 if A is B else 2
        """,
        "B=[]",
    ),
    "super attr": (
        """
        class B:
            r=1.
            def m(s): return s.r
        class C(B):
            def m(s): return super().m()*2
        c=C()
        def f(x): return c.m()*x
        """,
        "B.m=lambda s: 5.",
    ),
    "bases": (
        """
        class B:
            r=1.
        class B2:
            r=2.
        class C(B): pass
        def f(x): return C.r*x
        """,
        "C.__bases__=(B2,)",
    ),
    "bases inst": (
        """
        class B:
            r=1.
        class B2:
            r=2.
        class C(B): pass
        c=C()
        def f(x): return c.r*x
        """,
        "C.__bases__=(B2,)",
    ),
    "with cm": (
        """
        class C:
            def __enter__(s): return s.r
            def __exit__(s,*a): pass
        c=C(); c.r=1.
        def f(x):
            with c as r: return r*x
        """,
        "c.r=2.",
    ),
    "instance key": (
        """
        class K: pass
        k=K()
        d={k:1.}
        def f(x): return d[k]*x
        """,
        "k=K(); d.clear(); d[K()]=1.",
    ),
    "module getattr": (
        """
        def __getattr__(n): return T[n]
        T={'zz':1.}
        import sys
        me=sys.modules[__name__]
        def f(x): return me.zz*x
        """,
        "T['zz']=2.",
    ),
    "lazy hasattr": (
        """
        class C: pass
        c=C()
        def f(x):
            if hasattr(c,'k'): return 2*x
            return x
        """,
        "c.k=1",
    ),
    "in dict": (
        """
        d={}
        def f(x): return 1 if 'a' in d else 2
        """,
        "d['a']=1",
    ),
    "set order": (
        """
        s={1,2}
        def f(x): return list(s)
        """,
        "s.add(0)",
    ),
    "class attr via inst dict method": (
        """
        class C:
            def m(s): return 1.
        c=C()
        def f(x): return c.m()*x
        """,
        "c.__dict__['m']=lambda: 2.",
    ),
    "cached_property": (
        """
        import functools
        class C:
            @functools.cached_property
            def v(s): return s.r*2
        c=C(); c.r=1.
        c.v
        def f(x): return c.v*x
        """,
        "del c.__dict__['v']; c.r=3.",
    ),
    "np.vectorize state": (
        """
        t=[1.]
        g=np.vectorize(lambda v: v*t[0])
        def f(x): return g(x)
        """,
        "t[0]=2.",
    ),
    "poly1d": (
        """
        p=np.poly1d([1.,2.])
        def f(x): return p(x)
        """,
        "p.coeffs[0]=5. ; p=np.poly1d([5.,2.])",
    ),
    "sparse": (
        """
        import scipy.sparse as sp
        m=sp.csr_matrix(np.eye(2))
        def f(x): return m@x
        """,
        "m.data=m.data*2",
    ),
    "frozen dist": (
        """
        import scipy.stats as ss
        m=ss.norm(0,1)
        def f(x): return m.logpdf(x)
        """,
        "m.kwds={'scale':3.}",
    ),
    "interp": (
        """
        import scipy.interpolate as si
        m=si.CubicSpline([0,1,2],[0,1,2])
        def f(x): return m(x)
        """,
        "m.c=m.c*2",
    ),
    "range index": (
        """
        import types
        n=types.SimpleNamespace(a=types.SimpleNamespace(b=1.))
        def f(x): return n.a.b*x
        """,
        "n.a=types.SimpleNamespace(b=2.)",
    ),
    "dataclass frozen": (
        """
        import dataclasses
        @dataclasses.dataclass(frozen=True)
        class D:
            v: list
        d=D([1.])
        def f(x): return d.v[0]*x
        """,
        "d.v[0]=2.",
    ),
    "from-import in func": (
        """
        import sys,types
        m=types.ModuleType('zmod'); m.r=1.; sys.modules['zmod']=m
        def f(x):
            import zmod as q
            return q.r*x
        """,
        "m.r=2.",
    ),
    "property setter class swap": (
        """
        class C:
            r=property(lambda s: R)
        R=1.
        c=C()
        def f(x): return c.r*x
        """,
        "R=2.",
    ),
    "getitem cls": (
        """
        class C:
            T=[1.]
            def __class_getitem__(cls,i): return cls.T[i]
        def f(x): return C[0]*x
        """,
        "C.T[0]=2.",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_change_that_changes_the_answer_is_seen(name):
    source, change = ATTACKS[name]
    user = program(source)
    captures = fresh(user.f)
    assert captures.unsound is None and captures.check(user.f)
    exec(change, vars(user))
    assert not captures.check(user.f)
    assert "nothing" not in captures.explain_change(user.f)
    assert fresh(user.f).structure_key != captures.structure_key


def test_data_of_library_modules_and_added_builtins(monkeypatch):
    user = program("import sys\ndef f(x): return float(sys.argv[0]) * x * added")
    monkeypatch.setattr(sys, "argv", ["1"])
    monkeypatch.setattr(builtins, "added", 1.0, raising=False)
    captures = fresh(user.f)
    assert captures.check(user.f)
    monkeypatch.setattr(builtins, "added", 2.0)
    assert not captures.check(user.f)
    monkeypatch.setattr(builtins, "added", 1.0)
    assert captures.check(user.f)
    sys.argv[0] = "2"
    assert not captures.check(user.f)


OPAQUE = {
    "a view of a dictionary": "v = {'a': 1.0}.values()",
    "a mapping proxy": "import types; v = types.MappingProxyType({'a': 1.0})",
    "an array.array": "import array; v = array.array('d', [1.0])",
    "a memoryview": "v = memoryview(bytearray(b'ab'))",
    "an exception": "v = ValueError([1.0])",
    "a weak reference": "import weakref; C = type('C', (), {}); c = C(); v = weakref.ref(c)",
    "a context variable": "import contextvars; v = contextvars.ContextVar('v')",
}


@pytest.mark.parametrize("name", OPAQUE)
def test_state_out_of_sight_is_listed(name):
    user = program(OPAQUE[name] + "\ndef f(x): return v")
    captures = fresh(user.f)
    assert captures.opaque == (("v", user.v),)
    user.v = None
    assert not captures.check(user.f)


# -- state that the function changes ------------------------------------------------------------------------

CHANGES = {
    "calls": "global calls\n    calls += 1",
    "box.n": "box.n = 1",
    "box.inner.n": "box.inner.n += 1",
    "table[]": "table['k'] = 1",
    "items[]": "items[0] = 1",
    "items": "items.append(x)",
    "box.items": "box.items.append(x)",
    "X[]": "X[0] = 1.0",
    "X": "w = X\n    w += 1",
    "box.items[].n": "for item in box.items: item.n = 1",
    "Box.total": "Box.total = 1",
    "table": "table.update(a=1)",
    "seen": "(lambda: seen.add(1))()",
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_of_captured_state_are_named(name):
    user = program(
        """
        class Box: total = 0
        box = Box(); box.n = 0; box.inner = Box(); box.inner.n = 0; box.items = [Box()]
        calls, table, items, X, seen = 0, {"k": 0}, [0], np.zeros(2), set()
        def f(x):
            BODY
            return x
        """.replace("BODY", textwrap.indent(CHANGES[name], " " * 8).strip())
    )
    reason = fresh(user.f).unsound
    assert reason is not None and f"`{name}`" in reason and "user.py:" in reason
    assert not fresh(user.f).check(user.f)


def test_nonlocal_counters_and_methods():
    count = 0

    def f(x):
        nonlocal count
        count += 1
        return x

    class Counter:
        n = 0

        def __init__(self):
            self.fine = 1

        def step(self, x):
            self.n += 1
            return x

        def through_lambda(self, x):
            def go():
                self.n = 2

            return go()

    assert "`count`" in fresh(f).unsound
    assert "`self.n`" in fresh(Counter().step).unsound
    assert "`self.n`" in fresh(Counter().through_lambda).unsound


def test_class_methods_and_properties_that_change_state():
    user = program(
        """
        class C:
            total = 0
            @classmethod
            def count(cls): cls.total += 1
            @property
            def seen(self): self.n = 1
        c = C()
        def f(x): return C.count()
        def g(x): return c.seen
        """
    )
    assert "`cls.total`" in fresh(user.f).unsound
    assert "`self.n`" in fresh(user.g).unsound


def test_many_threads_scan_at_once():
    failures: list[object] = []

    def work():
        for n in range(100):
            fn = make_loss(np.full(3, n), n % 5)
            captures = scan(fn)
            clone = clone_with(fn, captures, [1.0]).call
            if not captures.check(fn) or captures.bind(fn)[0][0] != n or clone(2.0) != 2.0 * (n % 5):
                failures.append(n)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_functions_own_state_is_its_own():
    class Local:
        def __init__(self, n):
            self.n = n

        def step(self):
            self.n += 1
            return self.n

    def f(x):
        total = 0
        items = []

        def add(v):
            nonlocal total
            total += v
            items.append(v)

        add(x)
        local = Local(1)
        local.n = 5
        values = {}
        values["a"] = x
        values.update(b=1)
        return np.add(total, local.step()) + len(items) + np.sort([1])[0]

    assert fresh(f).unsound is None


def test_a_bound_mutator():
    items: list[int] = []
    push = items.append
    assert "push" in fresh(lambda x: push(x)).unsound


def test_changes_that_static_analysis_misses_are_found_after_the_run():
    class Box:
        pass

    box = Box()
    box.values, box.n, box.W = [0], 0, np.zeros(3)

    def bump(target):
        target.n += 1

    def extend(values):
        values.append(1)

    for fn, name in [
        (lambda x: bump(box), "box.n"),
        (lambda x: extend(box.values), "box.values"),
        (lambda x: setattr(box, "n", 7), "box.n"),
        (lambda x: np.copyto(box.W, 1.0 + box.W), "box.W"),
        (lambda x: box.values and None, None),
    ]:
        captures = fresh(fn)
        assert captures.unsound is None
        before = captures.snapshot(fn)
        assert captures.changed_since(before, fn) is None
        fn(1.0)
        changed = captures.changed_since(before, fn)
        assert changed is None if name is None else f"`{name}`" in changed


def test_rebinding_a_direct_array_during_the_run_is_found():
    user = program("X = np.zeros(2)\ndef f(x): swap()\n", swap=None)
    user.f = types.FunctionType((lambda x: X).__code__, vars(user), "f")  # noqa: F821
    captures = fresh(user.f)
    before = captures.snapshot(user.f)
    user.X = np.zeros(2)
    assert "`X`" in captures.changed_since(before, user.f)


def test_too_much_state_is_refused():
    table = [[np.zeros(1)] for _ in range(1500)]
    assert "too much state" in fresh(close_over(table)).unsound


# -- clones -------------------------------------------------------------------------------------------------


def test_clone_replaces_variables_and_nothing_else():
    user = program(
        """
        X = np.ones(2)
        def helper(x): return x * X
        def fact(n): return X if n == 0 else n * fact(n - 1)
        def f(x, d=np.ones(3), *, k=np.ones(4)):
            "doc"
            return helper(x) + fact(3) + d + k
        def untouched(): return X
        """
    )
    user.f.tag = "t"
    captures = fresh(user.f)
    names = {array.paths[0]: index for index, array in enumerate(captures.arrays)}
    boxes: list[object] = [0.0] * 3
    boxes[names["X"]], boxes[names["d="]], boxes[names["k="]] = 2.0, 100.0, 1000.0
    clone = clone_with(user.f, captures, boxes).call
    assert clone(5.0) == 10.0 + 12.0 + 1100.0
    assert (clone.__name__, clone.__doc__, clone.tag, clone.__module__) == (
        "f",
        "doc",
        "t",
        user.f.__module__,
    )
    assert user.f(1.0, 0.0, k=0.0).shape == (2,) and user.untouched() is user.X


def test_clone_shares_cells_that_were_shared():
    data, n = np.ones(2), 3

    def inner(x):
        return x * data * n

    def outer(x):
        return inner(x) + data

    captures = fresh(outer)
    clone = clone_with(outer, captures, [10.0]).call
    assert clone(2.0) == 70.0
    cells = dict(zip(clone.__code__.co_freevars, clone.__closure__))
    inner_cells = dict(zip(cells["inner"].cell_contents.__code__.co_freevars, cells["inner"].cell_contents.__closure__))
    assert inner_cells["data"] is cells["data"]
    original = dict(zip(inner.__code__.co_freevars, inner.__closure__))
    assert inner_cells["n"] is original["n"]


def test_clone_of_mutual_recursion_methods_and_partials():
    data = np.ones(2)

    def even(n):
        return data if n == 0 else odd(n - 1)

    def odd(n):
        return even(n - 1)

    class Model:
        def loss(self, x, scale=np.full(2, 3.0)):  # noqa: B008
            return (self, x * scale)

    assert clone_with(even, fresh(even), [7.0]).call(4) == 7.0
    model = Model()
    captures = fresh(model.loss)
    assert clone_with(model.loss, captures, [5.0]).call(2.0) == (model, 10.0)
    part = functools.partial(lambda a, b, c: a + b + c, np.ones(1), c=np.ones(2))
    assert clone_with(part, fresh(part), [1.0, 10.0]).call(100.0) == 111.0


def test_arrays_seen_from_uncloned_functions_are_held():
    user = program(
        """
        X, Y = np.ones(2), np.ones(2)
        def listed(x): return x * X
        table = {listed}
        class C:
            def m(self, x): return x * Y
        c = C()
        def f(x): return next(iter(table))(x) + X + c.m(x) + Y
        """
    )
    captures = fresh(user.f)
    assert captures.arrays == () and len(captures.held_arrays) == 2
    user.X = np.ones(2)
    assert not captures.check(user.f)
    user = program("X = np.ones(2)\nkept = [X]\ndef f(x): return X is kept[0]")
    captures = fresh(user.f)
    assert len(captures.arrays) == 1 and clone_with(user.f, captures, [1.5]).call(0) is True


def test_builtins_and_callable_objects():
    assert fresh(len).unsound is None and fresh(np.sum).check(np.sum)
    assert not fresh(np.sum).check(np.prod)
    part = functools.partial(np.dot, np.ones(2))
    assert len(fresh(part).arrays) == 1 and clone_with(part, fresh(part), [3.0]).call(4.0) == 12.0


def test_explanations_use_the_users_words():
    captures = fresh(make_loss(np.ones(3), 2))
    assert captures.explain_change(make_loss(np.ones(3), 5)) == "`n` changed from 2 to 5"
    changed = captures.explain_change(make_loss(np.ones(4), 2))
    assert changed == "`data` changed from a float64 array of shape (3,) to a float64 array of shape (4,)"
    assert "nothing" in captures.explain_change(make_loss(np.ones(3), 2))


def test_timings(capsys):
    rate, power, names, cfg = 0.5, 2, ("a", "b"), types.SimpleNamespace(lr=0.1)
    first, second, third = np.ones(3), np.ones((3, 3)), np.ones(2)
    helper = lambda x: x * rate

    def fn(x):
        return helper(x) * rate**power + first @ second + third[0] + cfg.lr + len(names)

    captures = fresh(fn)
    assert captures.unsound is None and captures.check(fn)

    def microseconds(call, number=2000):
        return min(timeit.repeat(call, number=number, repeat=3)) / number * 1e6

    with capsys.disabled():
        figures = {
            "check": microseconds(lambda: captures.check(fn)),
            "check_values": microseconds(lambda: captures.check_values(fn)),
            "bind": microseconds(lambda: captures.bind(fn)),
            "scan known": microseconds(lambda: scan(fn)),
            "clone": microseconds(lambda: clone_with(fn, captures, [1, 2, 3]), 200),
            "scan new": microseconds(lambda: fresh(fn), 100),
        }
        started = time.perf_counter()
        print(
            "\n",
            {name: round(value, 2) for name, value in figures.items()},
            round(time.perf_counter() - started, 3),
        )
