"""Mutations beyond the list of `docs/engine.md`, as data: what the files were, what they become, whether the node must run again.

The stage function is `stage.work`; its result is the output. `tests/test_mutations_more.py` runs them on the engine, `bench/mutations.py`
on every peer that can express them.
"""

from __future__ import annotations

from typing import NamedTuple

RUN = 'def run(inputs, outputs, settings):\n    with outputs.open("out") as out:\n        out.write(repr(work()).encode())\n'
"""What makes a stage of `work` for the engine."""


class Case(NamedTuple):
    """One mutation."""

    name: str
    runs: bool
    """Whether the node must run again."""
    before: dict[str, str]
    after: dict[str, str]


CASES: list[Case] = []


def _case(name: str, runs: bool, stage: str, old: str, new: str, file: str = "stage.py", **more: str) -> None:
    """`more`: other modules, by name (`pkg__mod` is `pkg/mod.py`)."""
    files = {"stage.py": f"{stage}\n\n{RUN}", **{k.replace("__", "/") + ".py": v for k, v in more.items()}}
    files = {k.replace("pkg/init.py", "pkg/__init__.py"): v for k, v in files.items()}
    assert old in files[file], (name, old)
    CASES.append(Case(name, runs, files, {**files, file: files[file].replace(old, new)}))


# must run again
_case(
    "decorator of another module that keeps the name",
    True,
    "from helpers import deco\n\n@deco\ndef part():\n    return 1\n\ndef work():\n    return part()\n",
    "* 10",
    "* 20",
    "helpers.py",
    helpers="from functools import wraps\n\ndef deco(f):\n    @wraps(f)\n    def inner():\n        return f() * 10\n    return inner\n",
)
_case(
    "context manager's body",
    True,
    "from contextlib import contextmanager\n\n@contextmanager\ndef opened():\n    yield 1\n\ndef work():\n    with opened() as x:\n        return x\n",
    "yield 1",
    "yield 2",
)
_case(
    "generator of another module, consumed by sum",
    True,
    "from helpers import numbers\n\ndef work():\n    return sum(numbers())\n",
    "yield 2",
    "yield 3",
    "helpers.py",
    helpers="def numbers():\n    yield 1\n    yield 2\n",
)
_case(
    "coroutine",
    True,
    "import asyncio\n\nasync def answer():\n    return 1\n\ndef work():\n    return asyncio.run(answer())\n",
    "return 1",
    "return 2",
)
_case(
    "format specification in a helper's f-string",
    True,
    "from helpers import shown\n\ndef work():\n    return shown(1.25)\n",
    ":.1f",
    ":.2f",
    "helpers.py",
    helpers='def shown(x):\n    return f"{x:.1f}"\n',
)
_case(
    "default factory of a dataclass field",
    True,
    "from dataclasses import dataclass, field\n\ndef fresh():\n    return [1]\n\n@dataclass\nclass P:\n    xs: list = field(default_factory=fresh)\n\n"
    "def work():\n    return P().xs\n",
    "return [1]",
    "return [2]",
)
_case(
    "__post_init__ inherited from another module",
    True,
    "from dataclasses import dataclass\nfrom helpers import Base\n\n@dataclass\nclass P(Base):\n    b: int = 1\n\ndef work():\n    return P().a\n",
    "self.a = 5",
    "self.a = 6",
    "helpers.py",
    helpers="from dataclasses import dataclass\n\n@dataclass\nclass Base:\n    a: int = 0\n\n    def __post_init__(self):\n        self.a = 5\n",
)
_case(
    "class keyword taken by __init_subclass__",
    True,
    "class Base:\n    seen = []\n\n    def __init_subclass__(cls, k=0):\n        Base.seen.append(k)\n\nclass P(Base, k=1):\n    pass\n\n"
    "def work():\n    return Base.seen\n",
    "k=1",
    "k=2",
)
_case(
    "order of auto() members",
    True,
    "from enum import Enum, auto\n\nclass E(Enum):\n    A = auto()\n    B = auto()\n\ndef work():\n    return E.A.value\n",
    "    A = auto()\n    B = auto()\n",
    "    B = auto()\n    A = auto()\n",
)
_case(
    "__match_args__ of a class in a pattern",
    True,
    "from helpers import Point\n\ndef work():\n    match Point():\n        case Point(1):\n            return 'one'\n        case _:\n            return 'other'\n",
    "('x', 'y')",
    "('y', 'x')",
    "helpers.py",
    helpers="class Point:\n    __match_args__ = ('x', 'y')\n    x = 1\n    y = 2\n",
)
_case(
    "exception class caught",
    True,
    "def part():\n    raise KeyError\n\ndef guarded():\n    try:\n        part()\n    except IndexError:\n        return 1\n    except LookupError:\n        return 2\n\n"
    "def work():\n    return guarded()\n",
    "except IndexError",
    "except KeyError",
)
_case(
    "operator overload reached only through +",
    True,
    "from helpers import Money\n\ndef work():\n    return (Money(1) + Money(2)).n\n",
    "self.n + other.n",
    "self.n * other.n",
    "helpers.py",
    helpers="class Money:\n    def __init__(self, n):\n        self.n = n\n\n    def __add__(self, other):\n        return Money(self.n + other.n)\n",
)
_case(
    "__lt__ used by sorted",
    True,
    "from helpers import Item\n\ndef work():\n    return [i.n for i in sorted([Item(1), Item(2)])]\n",
    "self.n < other.n",
    "self.n > other.n",
    "helpers.py",
    helpers="class Item:\n    def __init__(self, n):\n        self.n = n\n\n    def __lt__(self, other):\n        return self.n < other.n\n",
)
_case(
    "__missing__ of a dict's subclass",
    True,
    "class D(dict):\n    def __missing__(self, key):\n        return 1\n\nTABLE = D()\n\ndef work():\n    return TABLE['a']\n",
    "return 1",
    "return 2",
)
_case(
    "super() across modules, second level",
    True,
    "from child import Child\n\ndef work():\n    return Child().m()\n",
    "return 1",
    "return 2",
    "base.py",
    child="from base import Base\n\nclass Child(Base):\n    def m(self):\n        return super().m()\n",
    base="class Base:\n    def m(self):\n        return 1\n",
)
_case(
    "annotation a program reads",
    True,
    "from typing import get_type_hints\n\nclass Row:\n    a: int\n\ndef work():\n    return get_type_hints(Row)['a'].__name__\n",
    "a: int",
    "a: str",
)
_case(
    "parameter annotation read by inspect.signature",
    True,
    "import inspect\nfrom helpers import handler\n\ndef work():\n    return str(inspect.signature(handler))\n",
    "x: int",
    "x: str",
    "helpers.py",
    helpers="def handler(x: int):\n    return x\n",
)
_case(
    "loop variable left over at module level",
    True,
    "for K in (1, 2):\n    pass\n\ndef work():\n    return K\n",
    "(1, 2)",
    "(1, 3)",
)
_case("walrus at module level", True, "if (K := 1) > 0:\n    pass\n\ndef work():\n    return K\n", "K := 1", "K := 2")
_case(
    "value bound by with at module level",
    True,
    "import contextlib\n\nwith contextlib.nullcontext(1) as K:\n    pass\n\ndef work():\n    return K\n",
    "nullcontext(1)",
    "nullcontext(2)",
)
_case(
    "value bound in an except branch at import",
    True,
    "try:\n    K = int('x')\nexcept ValueError:\n    K = 1\n\ndef work():\n    return K\n",
    "    K = 1",
    "    K = 2",
)
_case(
    "else of a TYPE_CHECKING block",
    True,
    "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    K = 0\nelse:\n    K = 1\n\ndef work():\n    return K\n",
    "    K = 1",
    "    K = 2",
)
_case(
    "a function that hides a builtin appears",
    True,
    "def work():\n    return len('abc')\n",
    "def work():",
    "def len(x):\n    return 7\n\ndef work():",
)
_case(
    "a star import begins to hide a builtin",
    True,
    "from helpers import *\n\ndef work():\n    return max(1, 2)\n",
    "K = 1\n",
    "K = 1\n\ndef max(a, b):\n    return a\n",
    "helpers.py",
    helpers="K = 1\n",
)
_case(
    "standard library patched by a module that is imported for that",
    True,
    "import textwrap\nimport patch\n\ndef work():\n    return textwrap.dedent('x')\n",
    "'a'",
    "'b'",
    "patch.py",
    patch="import textwrap\n\ntextwrap.dedent = lambda text: 'a'\n",
)
_case(
    "attribute set on a function",
    True,
    "def part():\n    return part.k\n\npart.k = 1\n\ndef work():\n    return part()\n",
    "part.k = 1",
    "part.k = 2",
)
_case(
    "default of a context variable",
    True,
    "from contextvars import ContextVar\n\nMODE = ContextVar('mode', default=1)\n\ndef work():\n    return MODE.get()\n",
    "default=1",
    "default=2",
)
_case(
    "factory of a defaultdict",
    True,
    "from collections import defaultdict\nfrom helpers import fresh\n\nTABLE = defaultdict(fresh)\n\ndef work():\n    return TABLE['a']\n",
    "return 1",
    "return 2",
    "helpers.py",
    helpers="def fresh():\n    return 1\n",
)
_case(
    "attribute fetched by operator.attrgetter",
    True,
    "from operator import attrgetter\nimport helpers\n\ndef work():\n    return attrgetter('inner.k')(helpers)\n",
    "k = 1",
    "k = 2",
    "helpers.py",
    helpers="class inner:\n    k = 1\n",
)
_case(
    "method called by operator.methodcaller",
    True,
    "from operator import methodcaller\nfrom helpers import C\n\ndef work():\n    return methodcaller('m')(C())\n",
    "return 1",
    "return 2",
    "helpers.py",
    helpers="class C:\n    def m(self):\n        return 1\n",
)
_case(
    "constant renamed on its way through two modules",
    True,
    "from middle import LIMIT as TOP\n\ndef work():\n    return TOP\n",
    "K = 1",
    "K = 2",
    "helpers.py",
    middle="from helpers import K as LIMIT\n",
    helpers="K = 1\n",
)
_case(
    "two dots up",
    True,
    "from pkg.sub.mod import outer\n\ndef work():\n    return outer()\n",
    "K = 1",
    "K = 2",
    "pkg/shared.py",
    pkg__init="",
    pkg__shared="K = 1\n",
    pkg__sub__mod="from ..shared import K\n\ndef outer():\n    return K\n",
)
_case(
    "package without __init__",
    True,
    "from space.mod import helper\n\ndef work():\n    return helper()\n",
    "return 1",
    "return 2",
    "space/mod.py",
    space__mod="def helper():\n    return 1\n",
)
_case("negative zero", True, "K = 0.0\n\ndef work():\n    return str(K)\n", "K = 0.0", "K = -0.0")
_case("int to float", True, "K = 1\n\ndef work():\n    return K\n", "K = 1", "K = 1.0")
_case("str to bytes", True, "K = 'a'\n\ndef work():\n    return K\n", "'a'", "b'a'")
_case(
    "callback handed to map by keyword-less name",
    True,
    "import helpers\n\ndef work():\n    return list(map(helpers.twice, [1, 2]))\n",
    "x * 2",
    "x * 3",
    "helpers.py",
    helpers="def twice(x):\n    return x * 2\n",
)
_case(
    "thread's target",
    True,
    "import threading\n\nFOUND = []\n\ndef target():\n    FOUND.append(1)\n\n"
    "def work():\n    thread = threading.Thread(target=target)\n    thread.start()\n    thread.join()\n    return FOUND\n",
    "append(1)",
    "append(2)",
)
_K = "K = 1\n\ndef helper():\n    return K\n"
_case(
    "class named in a logging configuration",
    True,
    "import logging.config\n\ndef work():\n    logging.config.dictConfig(\n        {'version': 1, 'handlers': {'h': {'class': 'helpers.H'}}, "
    "'root': {'handlers': ['h']}}\n    )\n    return logging.getLogger().handlers[0].k\n",
    "k = 1",
    "k = 2",
    "helpers.py",
    helpers="import logging\n\nclass H(logging.Handler):\n    k = 1\n",
)
_case(
    "function named in an entry point",
    True,
    "from importlib.metadata import EntryPoint\n\ndef work():\n    return EntryPoint('n', 'helpers:helper', 'g').load()()\n",
    "K = 1",
    "K = 2",
    "helpers.py",
    helpers=_K,
)
_case(
    "object named in a pickle",
    True,
    "import pickle\n\ndef work():\n    return pickle.loads(b'chelpers\\nK\\n.')\n",
    "K = 1",
    "K = 2",
    "helpers.py",
    helpers=_K,
)
_case(
    "module loaded from a path by a loader",
    True,
    "import os\nfrom importlib.machinery import SourceFileLoader\n\n"
    "def work():\n    return SourceFileLoader('v', os.path.join(os.path.dirname(__file__), 'helpers.py')).load_module().K\n",
    "K = 1",
    "K = 2",
    "helpers.py",
    helpers=_K,
)
_case(
    "submodule found through a changed __path__",
    True,
    "from pkg import v\n\ndef work():\n    return v.K\n",
    "K = 1",
    "K = 2",
    "vendor/v.py",
    pkg__init="import os\n\n__path__.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), 'vendor'))\n",
    vendor__v=_K,
)
for _number, _row in enumerate(("class f:\n    a: 'Alias'", "def f(a: 'list[Alias]'):\n    pass")):
    _case(
        f"type behind a quoted annotation, {_number + 1}",
        True,
        f"from typing import get_type_hints\n\nAlias = int\n\n{_row}\n\ndef work():\n    return repr(get_type_hints(f)['a'])\n",
        "Alias = int",
        "Alias = str",
    )
_case(
    "line number the code looks at",
    True,
    "import sys\n\ndef work():\n    return sys._getframe().f_lineno\n",
    "import sys\n",
    "import sys\n\n",
)
_case(
    "globals of the own frame",
    True,
    "import sys\n\nK = 1\n\ndef work():\n    return sys._getframe().f_globals['K']\n",
    "K = 1",
    "K = 2",
)
_case(
    "setattr on another module by a third",
    True,
    "import helpers\nimport patch\n\ndef work():\n    return helpers.K\n",
    "5",
    "6",
    "patch.py",
    helpers=_K,
    patch="import helpers\n\nsetattr(helpers, 'K', 5)\n",
)
_case(
    "module exchanged in sys.modules",
    True,
    "import patch\nimport helpers\n\ndef work():\n    return helpers.K\n",
    "K = 1",
    "K = 2",
    "other.py",
    helpers="K = 0\n",
    other=_K,
    patch="import sys\n\nimport other\n\nsys.modules['helpers'] = other\n",
)
_case(
    "import inside a function called at import",
    True,
    "import helpers\nimport patch\n\ndef work():\n    return helpers.TABLE\n",
    "append(1)",
    "append(2)",
    "deep.py",
    helpers="TABLE = []\n",
    patch="def load():\n    import deep\n\nload()\n",
    deep="import helpers\n\nhelpers.TABLE.append(1)\n",
)
_case(
    "base made by __mro_entries__",
    True,
    "from helpers import X\n\nclass A(X()):\n    pass\n\ndef work():\n    return A.k\n",
    "k = 1",
    "k = 2",
    "helpers.py",
    helpers="class B:\n    k = 1\n\nclass X:\n    def __mro_entries__(self, bases):\n        return (B,)\n",
)
_case(
    "namespace a metaclass prepares",
    True,
    "from helpers import M\n\nclass A(metaclass=M):\n    pass\n\ndef work():\n    return A.k\n",
    "'k': 1",
    "'k': 2",
    "helpers.py",
    helpers="class M(type):\n    @classmethod\n    def __prepare__(cls, name, bases):\n        return {'k': 1}\n",
)

# must stay
_PARTS = (
    "import os\nfrom helpers import helper\n\nLIMIT = 1000\nNAMES = ['a', 'b']\n\n\ndef work():\n    x = LIMIT; y = 2\n"
    "    if x == 1:\n        z = 1\n    elif x == 2:\n        z = 2\n    else:\n        z = 3\n    return helper(x + y), z, NAMES, f'{x}', 'A'\n"
)
_HELPERS = "def helper(x):\n    return x + 1\n\n\ndef unrelated():\n    return 5\n"


def _stay(name: str, old: str, new: str, file: str = "stage.py") -> None:
    _case(name, False, _PARTS, old, new, file, helpers=_HELPERS)


_stay("number spelled with an underscore", "1000", "1_000")
_stay("number spelled in hexadecimal", "1000", "0x3e8")
_stay("trailing comma, one element a line", "['a', 'b']", "[\n    'a',\n    'b',\n]")
_stay("escape for a letter", "'A'", "'\\x41'")
_stay("triple quotes", "'A'", "'''A'''")
_stay("quotes of an f-string", "f'{x}'", 'f"{x}"')
_stay("semicolon to two lines", "x = LIMIT; y = 2", "x = LIMIT\n    y = 2")
_stay(
    "elif to else and if",
    "    elif x == 2:\n        z = 2\n    else:\n        z = 3\n",
    "    else:\n        if x == 2:\n            z = 2\n        else:\n            z = 3\n",
)
_stay("backslash continuation", "return helper(x + y), z", "return helper(x + y), \\\n        z")
_stay("tabs for blanks", "    return x + 1", "\treturn x + 1", "helpers.py")
_stay("encoding line and form feed", "def helper", "# -*- coding: utf-8 -*-\n\f\ndef helper", "helpers.py")
_stay("byte order mark", "def helper", "\ufeffdef helper", "helpers.py")
_stay(
    "unrelated function moved above",
    _HELPERS,
    "def unrelated():\n    return 5\n\n\ndef helper(x):\n    return x + 1\n",
    "helpers.py",
)
_stay("unused standard import in a helper's module", "def helper", "import math\n\n\ndef helper", "helpers.py")
_stay("__all__ that nobody stars", "def helper", "__all__ = ['helper']\n\n\ndef helper", "helpers.py")
_stay(
    "unrelated dataclass",
    "def helper",
    "from dataclasses import dataclass\n\n\n@dataclass\nclass P:\n    a: int = 1\n\n\ndef helper",
    "helpers.py",
)
_stay("type: ignore and other comments", "return x + 1", "return x + 1  # type: ignore[no-any-return]  # noqa", "helpers.py")
_case(
    "a file name that begins like a module",
    False,
    "from helpers import helper\n\ndef work():\n    return helper(1), 'helpers.csv', 'helpers.unheard_of'\n",
    "return 5",
    "return 6",
    "helpers.py",
    helpers=_HELPERS,
)
_case(
    "unrelated code in a module whose function a string names",
    False,
    "from importlib.metadata import EntryPoint\n\ndef work():\n    return EntryPoint('n', 'helpers:helper', 'g').load()(1)\n",
    "return 5",
    "return 6",
    "helpers.py",
    helpers=_HELPERS,
)
CASES.append(
    Case(
        "an unrelated file appears",
        False,
        {"stage.py": f"{_PARTS}\n\n{RUN}", "helpers.py": _HELPERS},
        {"stage.py": f"{_PARTS}\n\n{RUN}", "helpers.py": _HELPERS, "other.py": "K = 1\n"},
    )
)
