"""Whether importing a module runs a statement for more than the names it binds. The answer is no only where it can be proven."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pipeline.code.names import Entered, Foreign, Found, Meaning, Names, Whole
from pipeline.code.purity import PURE_METHODS, Kind, Trait, Use


class Effects:
    """Judges statements by what the names they use mean."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._acts: dict[tuple[str, int], bool] = {}
        self._plain: dict[tuple[str, int], bool] = {}

    def acts(self, module: str, number: int) -> bool:
        """Whether a top-level statement has an effect."""
        key = (module, number)
        if key not in self._acts:
            self._acts[key] = False  # asked again while it is judged: by itself
            statement = self._names.index(module).statements[number]
            self._acts[key] = not all(self._harmless(module, use) for use in statement.uses) or (
                bool(statement.traits & Trait.CLASS) and self._is_acting_enum(module, number)
            )
        return self._acts[key]

    def _meanings(self, module: str, name: str) -> list[Meaning]:
        return [m for m in self._names.lookup(module, name.split(".")) if not isinstance(m, Entered)]

    def _harmless(self, module: str, use: Use, used: bool = False) -> bool:
        if use.kind is Kind.EFFECT:
            return False
        meanings = self._meanings(module, use.name)
        return bool(meanings) and all(self._permits(use.kind, m, used) for m in meanings)

    def _permits(self, kind: Kind, meaning: Meaning, used: bool) -> bool:
        if isinstance(meaning, Foreign):
            return kind not in _LISTED or meaning.name in _LISTED[kind] or _is_third_party(meaning.name)
        if isinstance(meaning, Whole):
            return kind is Kind.VALUE
        if not isinstance(meaning, Found):
            return False
        if kind is Kind.CALL:
            return self._may_call(meaning, used)
        if kind is Kind.BASE:
            return not meaning.rest and self._is_class(meaning, Trait.HOOKS)
        return kind is Kind.VALUE and self._is_plain(meaning)

    def _may_call(self, found: Found, used: bool) -> bool:
        statement = self._names.statement(found)
        if statement.traits & Trait.CLASS:
            return not found.rest and self._is_class(
                found, Trait.ACTS | (Trait.OVERLOADS if used else Trait.NONE), constructed=True
            )
        return bool(found.rest) and found.rest[-1] in PURE_METHODS and not statement.traits and self._is_plain(found)

    def _is_plain(self, found: Found) -> bool:
        """Whether operators, iteration and attributes of a value cannot run first-party code."""
        key = (found.module, found.number)
        if key not in self._plain:
            self._plain[key] = True  # a name that is bound to itself
            statement = self._names.statement(found)
            if statement.traits:
                self._plain[key] = not self.acts(*key)
            else:
                self._plain[key] = all(self._harmless(found.module, use, used=True) for use in statement.uses) and all(
                    isinstance(m, Foreign) or (isinstance(m, Found) and self._is_plain(m))
                    for ref in statement.refs
                    for m in self._meanings(found.module, ref.name)
                )
        return self._plain[key]

    def _is_class(self, found: Found, without: Trait, constructed: bool = False) -> bool:
        """Whether it is a class none of whose ancestors has one of these traits; a third-party ancestor may have any when constructed."""
        for ancestor in self._ancestors(found, frozenset()):
            if isinstance(ancestor, Foreign):
                if constructed and _is_third_party(ancestor.name):
                    return False
            elif not isinstance(ancestor, Found) or not self._is_quiet(ancestor, without):
                return False
        return True

    def _is_quiet(self, found: Found, without: Trait) -> bool:
        statement = self._names.statement(found)
        outer = all(self._harmless(found.module, u) for u in statement.uses if u.kind in {Kind.METACLASS, Kind.DECORATOR})
        return bool(statement.traits & Trait.CLASS) and not statement.traits & without and outer

    def _ancestors(self, found: Found, seen: frozenset[tuple[str, int]]) -> Iterator[Meaning]:
        """The class and everything it inherits from."""
        yield found
        for use in self._names.statement(found).uses if (found.module, found.number) not in seen else []:
            if use.kind is Kind.BASE:
                for meaning in self._meanings(found.module, use.name):
                    if isinstance(meaning, Found):
                        yield from self._ancestors(meaning, seen | {(found.module, found.number)})
                    else:
                        yield meaning

    def _is_acting_enum(self, module: str, number: int) -> bool:
        """An enum makes its members when it is defined."""
        found = list(self._ancestors(Found(module, number, []), frozenset()))
        enum = any(isinstance(a, Foreign) and a.name.startswith("enum.") for a in found)
        return enum and any(isinstance(a, Found) and self._names.statement(a).traits & Trait.ACTS for a in found)


def _is_third_party(name: str) -> bool:
    top = name.partition(".")[0]
    return top != "builtins" and top not in sys.stdlib_module_names


_DECORATORS = frozenset(
    """
    builtins.property builtins.staticmethod builtins.classmethod abc.abstractmethod
    typing.final typing.override typing.overload typing.runtime_checkable typing.no_type_check
    dataclasses.dataclass enum.unique enum.property enum.member enum.nonmember contextlib.contextmanager contextlib.asynccontextmanager
    functools.cache functools.lru_cache functools.wraps functools.cached_property functools.total_ordering functools.singledispatch
    """.split()  # noqa: SIM905 - a table reads better than a list
)
_CALLS = _DECORATORS | frozenset(
    """
    builtins.abs builtins.all builtins.any builtins.bool builtins.bytearray builtins.bytes builtins.complex builtins.dict
    builtins.divmod builtins.enumerate builtins.float builtins.frozenset builtins.hash builtins.hex builtins.int builtins.isinstance
    builtins.issubclass builtins.len builtins.list builtins.max builtins.min builtins.object builtins.ord builtins.chr builtins.pow
    builtins.range builtins.repr builtins.reversed builtins.round builtins.set builtins.slice builtins.sorted builtins.str builtins.sum
    builtins.tuple builtins.type builtins.zip builtins.dict.fromkeys builtins.bytes.fromhex builtins.str.maketrans builtins.float.fromhex
    collections.ChainMap collections.Counter collections.OrderedDict collections.defaultdict collections.deque collections.namedtuple
    contextvars.ContextVar dataclasses.field datetime.date datetime.datetime datetime.time datetime.timedelta datetime.timezone
    decimal.Decimal enum.auto fractions.Fraction functools.partial itertools.chain itertools.product logging.getLogger
    math.log math.sqrt operator.attrgetter operator.itemgetter os.path.abspath os.path.basename os.path.dirname os.path.join
    pathlib.Path pathlib.PurePath pathlib.PurePosixPath re.compile re.escape struct.Struct sys.intern threading.Lock threading.RLock
    threading.local types.MappingProxyType types.SimpleNamespace typing.NamedTuple typing.NewType typing.ParamSpec typing.TypeVar
    typing.TypedDict typing.cast zoneinfo.ZoneInfo
    """.split()  # noqa: SIM905
)
_NOTHING: frozenset[str] = frozenset()
_LISTED = {Kind.CALL: _CALLS, Kind.DECORATOR: _DECORATORS, Kind.FOREIGN: _NOTHING}
