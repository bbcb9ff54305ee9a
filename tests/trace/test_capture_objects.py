"""What an object holds or inherits, and what its class does when it is asked, is captured with it."""

from __future__ import annotations

import collections
import sys
import threading
import types

import numpy as np
import pytest

from autograd_jit.trace.captures import clone_with
from tests.trace.capture_support import close_over, fresh, program

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
