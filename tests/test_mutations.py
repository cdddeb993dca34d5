"""Every code mutation that must re-run does, every one that must not does not: the list of `docs/engine.md`, each case in fresh processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.engine_bench import Project


def body(work: str, imports: str = "") -> str:
    return (
        f"{imports}\ndef run(inputs, outputs, settings):\n"
        '    with outputs.open("out") as out:\n        out.write(repr(work()).encode())\n\n' + work
    )


# name → (files before, files after)
MUST_RERUN: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
MUST_STAY: dict[str, tuple[dict[str, str], dict[str, str]]] = {}


def _path(keyword: str) -> str:
    return keyword.replace("__init__", "@").replace("__", "/").replace("@", "__init__") + ".py"


def swap(
    table: dict[str, tuple[dict[str, str], dict[str, str]]], name: str, files: dict[str, str], file: str, old: str, new: str
) -> None:
    assert old in files[file], (name, old)
    table[name] = (files, {**files, file: files[file].replace(old, new)})


def one(name: str, work: str, old: str, new: str, imports: str = "") -> None:
    swap(MUST_RERUN, name, {"stage.py": body(work, imports)}, "stage.py", old, new)


def two(name: str, work: str, helper: str, old: str, new: str, imports: str, file: str = "helpers.py", **more: str) -> None:
    files = {"stage.py": body(work, imports), file: helper, **{_path(k): v for k, v in more.items()}}
    swap(MUST_RERUN, name, files, file, old, new)


HELP = "def helper(x):\n    return x + 1\n"
one("01 stage body", "def work():\n    return 1\n", "return 1", "return 2")
one("02 helper in the same module", "def work():\n    return h()\ndef h():\n    return 1\n", "return 1", "return 2")
two("03 helper through from-import", "def work():\n    return helper(1)\n", HELP, "+ 1", "+ 2", "from helpers import helper")
two("04 helper through module attribute", "def work():\n    return helpers.helper(1)\n", HELP, "+ 1", "+ 2", "import helpers")
two(
    "05 helper two levels down",
    "def work():\n    return helper(1)\n",
    "def deep():\n    return 1\n",
    "return 1",
    "return 2",
    "from helpers import helper",
    "deep.py",
    helpers="from deep import deep\ndef helper(x):\n    return deep()\n",
)
one("06 scalar global", "K = 1\ndef work():\n    return K\n", "K = 1", "K = 2")
two("07 global of another module", "def work():\n    return helpers.K\n", "K = 1\n", "1", "2", "import helpers")
two(
    "08 global read by a helper",
    "def work():\n    return helper(1)\n",
    "K = 1\ndef helper(x):\n    return x + K\n",
    "K = 1",
    "K = 2",
    "from helpers import helper",
)
one("09 dict global value", "D = {'a': 1}\ndef work():\n    return D['a']\n", "1}", "2}")
CLASS = (
    "class A:\n    k = 1\n    def m(self):\n        return 1\n    def __call__(self):\n        return 3\nclass B(A):\n    pass\n"
)
one("10 method", CLASS + "def work():\n    return A().m()\n", "return 1", "return 2")
one("11 base-class method", CLASS + "def work():\n    return B().m()\n", "return 1", "return 2")
one(
    "12 second base",
    "class A:\n    pass\nclass C:\n    def m(self):\n        return 1\nclass B(A, C):\n    pass\ndef work():\n    return B().m()\n",
    "return 1",
    "return 2",
)
one("13 class attribute", CLASS + "def work():\n    return A.k\n", "k = 1", "k = 2")
one("14 __call__", CLASS + "def work():\n    return A()()\n", "return 3", "return 4")
DECO = "def deco(f):\n    def inner():\n        return f() + 1\n    return inner\n@deco\ndef g():\n    return 5\ndef work():\n    return g()\n"
one("15 decorator body", DECO, "f() + 1", "f() + 2")
one("16 decorated body", DECO, "return 5", "return 6")
one(
    "17 lru_cache body",
    "@lru_cache\ndef g():\n    return 5\ndef work():\n    return g()\n",
    "return 5",
    "return 6",
    "from functools import lru_cache",
)
one("18 lambda global", "f = lambda: 1\ndef work():\n    return f()\n", ": 1", ": 2")
one(
    "19 closure value",
    "def make(n):\n    def inner():\n        return n\n    return inner\nf = make(1)\ndef work():\n    return f()\n",
    "make(1)",
    "make(2)",
)
one("20 default argument", "def h(a=1):\n    return a\ndef work():\n    return h()\n", "a=1", "a=2")
one("21 keyword-only default", "def h(*, a=1):\n    return a\ndef work():\n    return h()\n", "a=1", "a=2")
two(
    "22 default from another module",
    "def h(a=helpers.K):\n    return a\ndef work():\n    return h()\n",
    "K = 1\n",
    "1",
    "2",
    "import helpers",
)
one("23 1 to '1'", "K = 1\ndef work():\n    return K\n", "K = 1", "K = '1'")
one("24 1 to True", "K = 1\ndef work():\n    return K\n", "K = 1", "K = True")
two("25 local import", "def work():\n    from helpers import helper\n    return helper(1)\n", HELP, "+ 1", "+ 2", "")
one(
    "26 handler in a dict",
    "def h():\n    return 1\nTABLE = {'h': h}\ndef work():\n    return TABLE['h']()\n",
    "return 1",
    "return 2",
)
one(
    "27 partial argument",
    "def h(a):\n    return a\np = partial(h, 2)\ndef work():\n    return p()\n",
    "h, 2",
    "h, 3",
    "from functools import partial",
)
one(
    "28 instance in a global",
    "class A:\n    def __init__(self, n):\n        self.n = n\nI = A(1)\ndef work():\n    return I.n\n",
    "A(1)",
    "A(2)",
)
one("29 compiled regex", "R = re.compile('a')\ndef work():\n    return R.pattern\n", "'a'", "'b'", "import re")
one("30 enum value", "class E(Enum):\n    A = 1\ndef work():\n    return E.A.value\n", "A = 1", "A = 2", "from enum import Enum")
one(
    "31 dataclass default",
    "@dataclass\nclass P:\n    a: int = 1\ndef work():\n    return P().a\n",
    "= 1",
    "= 2",
    "from dataclasses import dataclass",
)
one("32 rebound name", "def h():\n    return 1\nh = lambda: 2\ndef work():\n    return h()\n", "lambda: 2", "lambda: 3")
one("33 value computed at import", "def build():\n    return 1\nT = build()\ndef work():\n    return T\n", "return 1", "return 2")
one("34 dict order", "D = {'a': 1, 'b': 2}\ndef work():\n    return list(D)\n", "'a': 1, 'b': 2", "'b': 2, 'a': 1")
one("36 nested function", "def work():\n    def inner():\n        return 1\n    return inner()\n", "return 1", "return 2")
one(
    "37 property",
    "class A:\n    @property\n    def p(self):\n        return 1\ndef work():\n    return A().p\n",
    "return 1",
    "return 2",
)
one(
    "38 staticmethod",
    "class A:\n    @staticmethod\n    def p():\n        return 1\ndef work():\n    return A.p()\n",
    "return 1",
    "return 2",
)
one(
    "39 helper called by a method",
    "def h():\n    return 1\nclass A:\n    def m(self):\n        return h()\ndef work():\n    return A().m()\n",
    "return 1",
    "return 2",
)
two(
    "40 getattr with a built name",
    "def work():\n    return getattr(helpers, 'hel' + 'per')(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "import helpers",
)
two(
    "41 registry filled by a side-effect import",
    "def work():\n    return [f() for f in registry.ALL]\n",
    "from registry import register\n@register\ndef plugin():\n    return 1\n",
    "return 1",
    "return 2",
    "import registry\nimport plugin",
    "plugin.py",
    registry="ALL = []\ndef register(f):\n    ALL.append(f)\n    return f\n",
)
two("42 star import", "def work():\n    return helper(1)\n", HELP, "+ 1", "+ 2", "from helpers import *")
two(
    "43 import fallback",
    "def work():\n    return helper(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "try:\n    from absent_module import helper\nexcept ImportError:\n    from helpers import helper",
)
two(
    "44 re-export through __init__",
    "def work():\n    return helper(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "from pkg import helper",
    "pkg/impl.py",
    pkg____init__="from .impl import helper\n",
)
two(
    "45 relative import",
    "def work():\n    return outer(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "from pkg.mod import outer",
    "pkg/impl.py",
    pkg____init__="",
    pkg__mod="from .impl import helper\ndef outer(x):\n    return helper(x)\n",
)
two(
    "46 module-level monkeypatch",
    "def work():\n    return helpers.helper(1)\n",
    "import helpers\nhelpers.helper = lambda x: 1\n",
    "x: 1",
    "x: 2",
    "import helpers\nimport patch",
    "patch.py",
    helpers=HELP,
)
one(
    "47 top-level loop fills a table",
    "T = {}\nfor i in range(3):\n    T[i] = i\ndef work():\n    return T\n",
    "range(3)",
    "range(4)",
)
one("48 += on a global", "T = [1]\nT += [2]\ndef work():\n    return T\n", "[2]", "[3]")
two(
    "49 module __getattr__",
    "def work():\n    return helpers.any\n",
    "def __getattr__(name):\n    return 1\n",
    "return 1",
    "return 2",
    "import helpers",
)
two(
    "50 import pkg.sub.mod",
    "def work():\n    return pkg.sub.mod.helper(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "import pkg.sub.mod",
    "pkg/sub/mod.py",
    pkg____init__="",
    pkg__sub____init__="",
)
two(
    "51 import_module",
    "def work():\n    return import_module('helpers').helper(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "from importlib import import_module",
)
one("52 docstring the code reads", 'def h():\n    """one"""\ndef work():\n    return h.__doc__\n', "one", "two")
one(
    "53 __init_subclass__ registry",
    "class Base:\n    seen = []\n    def __init_subclass__(cls):\n        Base.seen.append(cls.k)\n"
    "class One(Base):\n    k = 1\ndef work():\n    return Base.seen\n",
    "k = 1",
    "k = 2",
)
# cases of our own
one(
    "70 instance that registers itself",
    "ALL = []\nclass P:\n    def __init__(self, n):\n        ALL.append(n)\n_ = P(1)\ndef work():\n    return ALL\n",
    "P(1)",
    "P(2)",
)
one("71 append in an assignment", "ALL = []\n_ = ALL.append(1)\ndef work():\n    return ALL\n", "append(1)", "append(2)")
one(
    "72 walrus and match",
    "def h(v):\n    match v:\n        case [x, *_]:\n            return x + K\nK = 1\ndef work():\n    return h([1])\n",
    "K = 1",
    "K = 2",
)
one("73 comprehension over a global", "K = [1]\ndef work():\n    return [x for x in K]\n", "K = [1]", "K = [2]")
two(
    "74 computed import",
    "def work():\n    return importlib.import_module('pkg.' + 'a').V\n",
    "V = 1\n",
    "1",
    "2",
    "import importlib\nimport pkg",
    "pkg/a.py",
    pkg____init__="",
)
one(
    "75 metaclass",
    "class M(type):\n    def __new__(m, n, b, d):\n        d['k'] = 1\n        return type.__new__(m, n, b, d)\nclass A(metaclass=M):\n    pass\ndef work():\n    return A.k\n",
    "= 1",
    "= 2",
)
one(
    "76 global assigned in a function",
    "K = 1\ndef init():\n    global K\n    K = 5\ninit()\ndef work():\n    return K\n",
    "K = 5",
    "K = 6",
)
one(
    "77 name used only in a default lambda",
    "K = 1\ndef h(f=lambda: K):\n    return f()\ndef work():\n    return h()\n",
    "K = 1",
    "K = 2",
)
two(
    "78 star of a star",
    "def work():\n    return helper(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "from middle import *",
    "helpers.py",
    middle="from helpers import *\n",
)
two(
    "79 aliased module in a package",
    "def work():\n    return m.helper(1)\n",
    HELP,
    "+ 1",
    "+ 2",
    "from pkg import mod as m",
    "pkg/mod.py",
    pkg____init__="",
)
two(
    "80 side effect in a package's __init__",
    "def work():\n    return helpers.V\n",
    "import helpers\nhelpers.V = 1\n",
    "= 1",
    "= 2",
    "import helpers\nfrom pkg import mod",
    "pkg/__init__.py",
    helpers="V = 0\n",
    pkg__mod="",
)
two(
    "81 conditional definition",
    "def work():\n    return helper(1)\n",
    "import sys\nif sys.version_info > (3, 0):\n    def helper(x):\n        return x + 1\nelse:\n    def helper(x):\n        return 0\n",
    "x + 1",
    "x + 2",
    "from helpers import helper",
)
two(
    "82 class imported for isinstance only",
    "def work():\n    return isinstance(1, helpers.C)\n",
    "class C:\n    pass\n",
    "pass",
    "x = 1",
    "import helpers",
)
one(
    "83 subclasses",
    "class A:\n    pass\nclass B(A):\n    k = 1\ndef work():\n    return [c.k for c in A.__subclasses__()]\n",
    "k = 1",
    "k = 2",
)
one("84 globals()", "K_a = 1\ndef work():\n    return globals()['K_' + 'a']\n", "K_a = 1", "K_a = 2")
one("85 eval", "K = 1\ndef work():\n    return eval('K')\n", "K = 1", "K = 2")

BASE = body(
    "def work():\n    '''doc'''\n    x = 1\n    return helper(x) + C().m()\n\nclass C:\n    '''doc'''\n    def m(self):\n        '''doc'''\n        return K\n\nK = 2\n",
    "import os\nfrom helpers import helper\nimport sys\n",
)
HELPERS = "UNUSED = 1\n\ndef helper(x):\n    '''doc'''\n    return (x + 1)\n\ndef unrelated():\n    return 5\n"
FILES = {"stage.py": BASE, "helpers.py": HELPERS}


def stay(name: str, file: str, old: str, new: str) -> None:
    swap(MUST_STAY, name, FILES, file, old, new)


stay("01 comment", "stage.py", "    x = 1\n", "    x = 1  # one\n")
stay("02 docstring of the function", "stage.py", "    '''doc'''\n    x", "    '''other'''\n    x")
stay("02 docstring of a helper", "helpers.py", "doc", "other")
stay("02 docstring of a class", "stage.py", "class C:\n    '''doc'''", "class C:\n    '''other'''")
stay("02 docstring removed", "helpers.py", "    '''doc'''\n", "")
stay("02 module docstring", "helpers.py", "UNUSED", "'''The module.'''\nUNUSED")
stay("03 blank lines and parentheses", "helpers.py", "return (x + 1)", "\n    return x+1")
stay("04 quote style", "stage.py", 'outputs.open("out")', "outputs.open('o' 'ut')")
stay("05 unrelated function above", "helpers.py", "UNUSED = 1\n", "UNUSED = 1\n\ndef another():\n    return 9\n")
stay("06 unrelated function changed", "helpers.py", "return 5", "return 6")
stay(
    "07 import order",
    "stage.py",
    "import os\nfrom helpers import helper\nimport sys\n",
    "import sys\nimport os\nfrom helpers import helper\n",
)
stay("09 unused constant", "helpers.py", "UNUSED = 1", "UNUSED = 2")
stay("10 annotation of a local", "stage.py", "    x = 1\n", "    x: int = 1\n")
stay("11 __main__ block", "helpers.py", "UNUSED", "if __name__ == '__main__':\n    print(helper(1))\nUNUSED")
stay("12 CRLF", "helpers.py", "\n", "\r\n")
stay(
    "13 TYPE_CHECKING block",
    "helpers.py",
    "UNUSED",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import decimal\nUNUSED",
)

# cases of an adversarial review

RUN = 'def run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n        out.write(repr(work()).encode())\n'


def runs(name: str, stage: str, old: str, new: str, file: str = "stage.py", more: dict[str, str] | None = None) -> None:
    swap(MUST_RERUN, name, {"stage.py": f"{stage}\n{RUN}", **(more or {})}, file, old, new)


def stays(name: str, stage: str, old: str, new: str, file: str = "stage.py", more: dict[str, str] | None = None) -> None:
    swap(MUST_STAY, name, {"stage.py": f"{stage}\n{RUN}", **(more or {})}, file, old, new)


def appears(name: str, stage: str, file: str, text: str, more: dict[str, str]) -> None:
    before = {"stage.py": f"{stage}\n{RUN}", **more}
    MUST_RERUN[name] = (before, {**before, file: text})


runs(
    "class body effect at import, no bases",
    "T=[]\nclass A:\n    T.append(1)\ndef work():\n    return T\n",
    "append(1)",
    "append(2)",
)
runs(
    "class body effect in imported module",
    "import reg\nimport plug\ndef work():\n    return reg.ALL\n",
    "append(1)",
    "append(2)",
    "plug.py",
    {"reg.py": "ALL=[]\n", "plug.py": "import reg\nclass A:\n    reg.ALL.append(1)\n"},
)
runs(
    "default arg effect at import", "T=[]\ndef f(x=T.append(1)):\n    pass\ndef work():\n    return T\n", "append(1)", "append(2)"
)
runs(
    "assign imported obj method",
    "import reg\nimport plug\ndef work():\n    return reg.ALL\n",
    "append(1)",
    "append(2)",
    "plug.py",
    {"reg.py": "ALL=[]\n", "plug.py": "from reg import ALL\n_=ALL.append(1)\n"},
)
runs(
    "assign module.obj.method",
    "import reg\nimport plug\ndef work():\n    return reg.ALL\n",
    "append(1)",
    "append(2)",
    "plug.py",
    {"reg.py": "ALL=[]\n", "plug.py": "import reg\n_=reg.ALL.append(1)\n"},
)
runs(
    "assign imported classmethod register",
    "import reg\nimport plug\ndef work():\n    return reg.Reg.items\n",
    "add(1)",
    "add(2)",
    "plug.py",
    {
        "reg.py": "class Reg:\n    items=[]\n    @classmethod\n    def add(cls,x):\n        cls.items.append(x)\n        return x\n",
        "plug.py": "from reg import Reg\nhandler = Reg.add(1)\n",
    },
)
runs(
    "assign star-imported register()",
    "import reg\nimport plug\ndef work():\n    return reg.ALL\n",
    "register(1)",
    "register(2)",
    "plug.py",
    {
        "reg.py": "ALL=[]\ndef register(x):\n    ALL.append(x)\n    return x\n",
        "plug.py": "from reg import *\nhandler = register(1)\n",
    },
)
runs(
    "star-imported base with __init_subclass__",
    "import base\nimport plug\ndef work():\n    return [c.k for c in base.SEEN]\n",
    "k=1",
    "k=2",
    "plug.py",
    {
        "base.py": "SEEN=[]\nclass Base:\n    def __init_subclass__(cls):\n        SEEN.append(cls)\n",
        "plug.py": "from base import *\nclass P(Base):\n    k=1\n",
    },
)
runs(
    "base made by a function with __init_subclass__",
    "import base\nimport plug\ndef work():\n    return [c.k for c in base.SEEN]\n",
    "k=1",
    "k=2",
    "plug.py",
    {
        "base.py": "SEEN=[]\nclass Base:\n    def __init_subclass__(cls):\n        SEEN.append(cls)\ndef make():\n    return Base\n",
        "plug.py": "import base\nclass P(base.make()):\n    k=1\n",
    },
)
runs(
    "inherited __init__ instance registers itself",
    "ALL=[]\nclass B:\n    def __init__(self,n):\n        ALL.append(n)\nclass P(B):\n    pass\n_=P(1)\ndef work():\n    return ALL\n",
    "P(1)",
    "P(2)",
)
runs(
    "map over register",
    "ALL=[]\ndef reg(x):\n    ALL.append(x)\n_=list(map(reg,[1]))\ndef work():\n    return ALL\n",
    "[1]",
    "[2]",
)
runs(
    "operator overload at import",
    "ALL=[]\nclass L:\n    def __lshift__(self,x):\n        ALL.append(x)\n        return self\nl=L()\n_=l<<1\ndef work():\n    return ALL\n",
    "l<<1",
    "l<<2",
)
runs(
    "__setitem__-free subscript call",
    "ALL=[]\nclass L:\n    def __getitem__(self,x):\n        ALL.append(x)\nl=L()\n_=l[1]\ndef work():\n    return ALL\n",
    "l[1]",
    "l[2]",
)
runs(
    "__set_name__ descriptor registers",
    "ALL=[]\nclass D:\n    def __init__(self,v):\n        self.v=v\n    def __set_name__(self,o,n):\n        ALL.append(self.v)\nclass P:\n    a=D(1)\ndef work():\n    return ALL\n",
    "D(1)",
    "D(2)",
)
runs("if __name__ != main", "K=0\nif __name__ != '__main__':\n    K=1\ndef work():\n    return K\n", "K=1", "K=2")
runs(
    "first-party decorator named cache",
    "from deco import cache\n@cache\ndef plug():\n    return 1\nimport deco\ndef work():\n    return [f() for f in deco.ALL]\n",
    "return 1",
    "return 2",
    "stage.py",
    {"deco.py": "ALL=[]\ndef cache(f):\n    ALL.append(f)\n    return f\n"},
)
runs(
    "local named as comprehension var",
    "def helper():\n    return 1\ndef work():\n    a=[helper for helper in range(2)]\n    return helper()\n",
    "return 1",
    "return 2",
)
runs("comprehension shadows its own iterable", "xs=[1]\ndef work():\n    return [xs for xs in xs]\n", "xs=[1]", "xs=[2]")
runs(
    "global declared in nested function",
    "K=1\ndef work():\n    K=5\n    def inner():\n        global K\n        return K\n    return inner()\n",
    "K=1",
    "K=2",
)
runs("module docstring via __doc__", '"""one"""\ndef work():\n    return __doc__\n', "one", "two")
runs("getattr __doc__ const", 'def h():\n    """one"""\ndef work():\n    return getattr(h,\'__doc__\')\n', "one", "two")
runs(
    "help/inspect.getsource",
    "import inspect\ndef h():\n    return 1 # one\ndef work():\n    return inspect.getsource(h)\n",
    "# one",
    "# two",
)
runs("local __globals__", "K=1\ndef h(): pass\ndef work():\n    return h.__globals__['K']\n", "K=1", "K=2")
runs("module-level locals()/vars()", "K=1\nD=vars()\ndef work():\n    return D['K']\n", "K=1", "K=2")
runs("builtins.eval", "import builtins\nK=1\ndef work():\n    return builtins.eval('K')\n", "K=1", "K=2")
runs(
    "eval('helpers.K') with import helpers",
    "import helpers\ndef work():\n    return eval('helpers.K')\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "globals()['helpers'].K",
    "import helpers\ndef work():\n    return globals()['helpers'].K\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "sys.modules via from-import",
    "import helpers\nfrom sys import modules\ndef work():\n    return modules['helpers'].K\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "sys.modules alias",
    "import helpers\nimport sys as s\ndef work():\n    return s.modules['helpers'].K\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "import_module alias",
    "from importlib import import_module as im\ndef work():\n    return im('helpers').K\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "import_module bound to a name",
    "import importlib\nload=importlib.import_module\ndef work():\n    return load('helpers').K\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "import_module keyword",
    "import importlib\ndef work():\n    return importlib.import_module(name='helpers').K\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "import_module computed flat",
    "import importlib\nN='helpers'\ndef work():\n    return importlib.import_module(N).K\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "import_module %-format",
    "import importlib\ndef work():\n    return importlib.import_module('%s.%s'%('pkg','a')).K\n",
    "K=1",
    "K=2",
    "pkg/a.py",
    {"pkg/a.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "import_module relative const",
    "import importlib\ndef work():\n    return importlib.import_module('.a','pkg').K\n",
    "K=1",
    "K=2",
    "pkg/a.py",
    {"pkg/a.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "pkgutil.resolve_name",
    "import pkgutil\ndef work():\n    return pkgutil.resolve_name('helpers:K')\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "runpy.run_module",
    "import runpy\ndef work():\n    return runpy.run_module('helpers')['K']\n",
    "K=1",
    "K=2",
    "helpers.py",
    {"helpers.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "getattr(pkg,name) submodule imported in __init__",
    "import pkg\ndef work():\n    return getattr(pkg,'a').K\n",
    "K=1",
    "K=2",
    "pkg/a.py",
    {"pkg/a.py": "K=1\ndef helper():\n    return K\n", "pkg/__init__.py": "from . import a\n"},
)
runs(
    "vars(pkg) of submodule",
    "import pkg\ndef work():\n    return [m.K for n,m in vars(pkg).items() if n=='a'][0]\n",
    "K=1",
    "K=2",
    "pkg/a.py",
    {"pkg/a.py": "K=1\ndef helper():\n    return K\n", "pkg/__init__.py": "from . import a\n"},
)
runs(
    "dict of modules from pkg",
    "import pkg\ndef work():\n    return pkg.TABLE['a'].K\n",
    "K=1",
    "K=2",
    "pkg/a.py",
    {"pkg/a.py": "K=1\ndef helper():\n    return K\n", "pkg/__init__.py": 'from pkg import a\nTABLE={"a":a}\n'},
)
runs(
    "stdlib-named first-party module",
    "import statistics\ndef work():\n    return statistics.K\n",
    "K=1",
    "K=2",
    "statistics.py",
    {"statistics.py": "K=1\ndef helper():\n    return K\n"},
)
runs(
    "import pkg; pkg.a.f with init `from . import a`",
    "import pkg\ndef work():\n    return pkg.a.helper()\n",
    "return 1",
    "return 2",
    "pkg/a.py",
    {"pkg/a.py": "def helper():\n    return 1\n", "pkg/__init__.py": "from . import a\n"},
)
runs(
    "from pkg import a; a.f with init `from . import a`",
    "from pkg import a\ndef work():\n    return a.helper()\n",
    "return 1",
    "return 2",
    "pkg/a.py",
    {"pkg/a.py": "def helper():\n    return 1\n", "pkg/__init__.py": "from . import a\n"},
)
runs(
    "from pkg import a; init `from pkg import a`",
    "from pkg import a\ndef work():\n    return a.helper()\n",
    "return 1",
    "return 2",
    "pkg/a.py",
    {"pkg/a.py": "def helper():\n    return 1\n", "pkg/__init__.py": "from pkg import a\n"},
)
runs(
    "init star, __all__ changed",
    "from pkg import *\ndef work():\n    return globals().get('helper')\n",
    "['helper']",
    "[]",
    "pkg/__init__.py",
    {"pkg/__init__.py": "__all__=['helper']\nfrom .a import helper\n", "pkg/a.py": "def helper():\n    return 1\n"},
)
runs(
    "two stars: later wins",
    "from h1 import *\nfrom helpers import *\ndef work():\n    return helper()\n",
    "return 1",
    "return 2",
    "helpers.py",
    {"helpers.py": "def helper():\n    return 1\n", "h1.py": "def helper():\n    return 0\n"},
)
runs(
    "star overriding own earlier binding",
    "def helper():\n    return 0\nfrom helpers import *\ndef work():\n    return helper()\n",
    "return 1",
    "return 2",
    "helpers.py",
    {"helpers.py": "def helper():\n    return 1\n"},
)
runs(
    "descriptor",
    "from helpers import D\nclass A:\n    x=D()\ndef work():\n    return A().x\n",
    "return 1",
    "return 2",
    "helpers.py",
    {"helpers.py": "class D:\n    def __get__(self,o,t):\n        return 1\n"},
)
runs(
    "singledispatch.register assigned",
    "import base\nimport helpers\ndef work():\n    return base.f(1)\n",
    "x: 1",
    "x: 2",
    "helpers.py",
    {
        "helpers.py": "import base\ng=base.f.register(int,lambda x: 1)\n",
        "base.py": "from functools import singledispatch\n@singledispatch\ndef f(x):\n    return 0\n",
    },
)
if sys.version_info >= (3, 12):
    runs(
        "PEP695 type alias",
        "from helpers import T\ndef work():\n    return T.__value__\n",
        "[int]",
        "[str]",
        "helpers.py",
        {"helpers.py": "type T=tuple[int]\n"},
    )
runs(
    "import in class body",
    "class A:\n    from helpers import helper\ndef work():\n    return A.helper()\n",
    "return 1",
    "return 2",
    "helpers.py",
    {"helpers.py": "def helper():\n    return 1\n"},
)
stays(
    "class with attribute in module; unrelated fn edited",
    "import helpers\ndef work():\n    return helpers.A.k\n",
    "return 5",
    "return 6",
    "helpers.py",
    {"helpers.py": "class A:\n    k=1\n\ndef unrelated():\n    return 5\n"},
)
stays(
    "dataclass; unrelated",
    "import helpers\ndef work():\n    return helpers.A().k\n",
    "return 5",
    "return 6",
    "helpers.py",
    {"helpers.py": "from dataclasses import dataclass\n@dataclass\nclass A:\n    k: int=1\n\ndef unrelated():\n    return 5\n"},
)
stays(
    "NamedTuple; unrelated",
    "import helpers\ndef work():\n    return helpers.A(1).k\n",
    "return 5",
    "return 6",
    "helpers.py",
    {"helpers.py": "from typing import NamedTuple\nclass A(NamedTuple):\n    k: int\n\ndef unrelated():\n    return 5\n"},
)
stays(
    "Enum; unrelated",
    "import helpers\ndef work():\n    return helpers.A.X.value\n",
    "return 5",
    "return 6",
    "helpers.py",
    {"helpers.py": "from enum import Enum\nclass A(Enum):\n    X=1\n\ndef unrelated():\n    return 5\n"},
)
stays(
    "property/setter; unrelated",
    "import helpers\ndef work():\n    return helpers.A().x\n",
    "return 5",
    "return 6",
    "helpers.py",
    {
        "helpers.py": "class A:\n    @property\n    def x(self):\n        return 1\n    @x.setter\n    def x(self,v):\n        pass\n\ndef unrelated():\n    return 5\n"
    },
)
if sys.version_info >= (3, 12):
    stays(
        "PEP695 generic function; unrelated",
        "import helpers\ndef work():\n    return helpers.f(1)\n",
        "return 5",
        "return 6",
        "helpers.py",
        {"helpers.py": "def f[T](x: T) -> T:\n    return x\n\ndef unrelated():\n    return 5\n"},
    )
if sys.version_info >= (3, 12):
    stays(
        "PEP695 class",
        "import helpers\ndef work():\n    return helpers.A().m()\n",
        "return 5",
        "return 6",
        "helpers.py",
        {"helpers.py": "class A[T]:\n    def m(self):\n        return 1\n\ndef unrelated():\n    return 5\n"},
    )
stays(
    "nested class with attrs in function",
    "import helpers\ndef work():\n    return helpers.f()\n",
    "return 5",
    "return 6",
    "helpers.py",
    {"helpers.py": "def f():\n    class A:\n        k=1\n    return A.k\n\ndef unrelated():\n    return 5\n"},
)
stays(
    "attribute docstring added",
    "import helpers\ndef work():\n    return helpers.A.k\n",
    "what k is",
    "what k really is",
    "helpers.py",
    {"helpers.py": "class A:\n    k=1\n    '''what k is'''\n"},
)
stays(
    "self-annotation forward name undefined",
    "from helpers import f\ndef work():\n    return f(1)\n",
    "return 5",
    "return 6",
    "helpers.py",
    {"helpers.py": "from __future__ import annotations\ndef f(x: Undefined):\n    return 1\n\ndef unrelated():\n    return 5\n"},
)

appears(
    "package appears beside a module",
    "import helpers\ndef work():\n    return helpers.K\n",
    "helpers/__init__.py",
    "K = 2\n",
    {"helpers.py": "K = 1\n"},
)
appears(
    "plugin added to a package that is listed",
    "import importlib, pkgutil\nimport pkg\ndef work():\n    return sorted(importlib.import_module(f'pkg.{m.name}').K for m in pkgutil.iter_modules(pkg.__path__))\n",
    "pkg/b.py",
    "K = 2\n",
    {"pkg/__init__.py": "", "pkg/a.py": "K = 1\n"},
)
runs(
    "module in a folder put on sys.path",
    "import sys, os\nsys.path.append(os.path.join(os.path.dirname(__file__), 'vendor'))\nimport vlib\ndef work():\n    return vlib.K\n",
    "1",
    "2",
    "vendor/vlib.py",
    {"vendor/vlib.py": "K = 1\n"},
)
runs(
    "enum that acts on its members",
    "from enum import Enum\nALL = []\nclass E(Enum):\n    A = 1\n    def __init__(self, v):\n        ALL.append(v)\ndef work():\n    return ALL\n",
    "A = 1",
    "A = 2",
)
runs(
    "main guard the other way round with an else",
    "if '__main__' == __name__:\n    K = 0\nelse:\n    K = 1\ndef work():\n    return K\n",
    "K = 1",
    "K = 2",
)
stays(
    "main guard the other way round",
    "def work():\n    return 1\nif '__main__' == __name__:\n    print(1)\n",
    "print(1)",
    "print(2)",
)


def actions(tmp_path: Path, files: tuple[dict[str, str], dict[str, str]]) -> tuple[str, str, str, str]:
    project = Project(tmp_path)
    before, after = files
    project.write({"in.txt": "1", "data/in.txt": "1", **before})
    first = project.run()["n"]
    old = project.output()
    for name in before.keys() - after.keys():
        (tmp_path / name).unlink()
    project.write(after)
    second = project.run()["n"]
    return first, old, second, project.output()


@pytest.mark.parametrize("name", MUST_RERUN)
def test_a_change_that_matters_runs_the_node_again(name: str, tmp_path: Path) -> None:
    first, _, second, _ = actions(tmp_path, MUST_RERUN[name])
    assert (first, second) == ("ran", "ran")


@pytest.mark.parametrize("name", MUST_STAY)
def test_a_change_that_does_not_matter_is_skipped(name: str, tmp_path: Path) -> None:
    first, _, second, _ = actions(tmp_path, MUST_STAY[name])
    assert (first, second) == ("ran", "skipped")
