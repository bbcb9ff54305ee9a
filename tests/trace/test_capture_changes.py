"""Programs written to slip through: a change of state that changes the answer is seen, wherever the state lies."""

from __future__ import annotations

import builtins
import sys

import pytest

from tests.trace.capture_support import fresh, program

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
