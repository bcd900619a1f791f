"""Index-notation terms: indices, heads of atoms, monomials and sums of them.

An *atom* is a head with index arguments: an entry `W[i, j]`, a delta, or a function of a whole
expression. What a head holds is closed: the body of `exp(sum_k W[i,k]*x[k])` is kept once, with
its own index called `$0`, and the atom is that head applied to `i`. Renaming an index therefore
touches argument tuples only, and equal functions of equal bodies are equal heads.

Everything here is plain tuples, so that hashing, comparing and sorting run at C speed:

    Ix      (kind, label, offset key, offset)     LITERAL 3, FREE "i", BOUND 0, each plus an offset
    Factor  (head, arguments, exponent)
    Mono    (sizes of the summed indices, factors), canonically labelled and sorted
    Expr    {Mono: coefficient}

Knows nothing of the typed graph, of shapes, or of arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from hashlib import blake2b
from typing import Any

from backproof.operators.dims import Dim

Size = int | Dim
Number = int | Fraction
Ix = tuple[int, Any, str, Any]
Args = tuple[Ix, ...]

LITERAL, FREE, BOUND = 0, 1, 2
LONGEST_TEXT = 160


def size(value: Dim | int | str) -> Size:
    """A dimension as this package keeps it: a plain integer wherever it is one."""
    if isinstance(value, int):
        return value
    dim = Dim.of(value)
    known = dim.as_int()
    return dim if known is None else known


def number(value: Number) -> Number:
    """The same number, as a plain integer where it is one."""
    if isinstance(value, Fraction) and value.denominator == 1:
        return value.numerator
    return value


def magnitude(value: Number) -> Number:
    """The absolute value."""
    return value if value >= 0 else -value


def lit(position: int) -> Ix:
    """A literal position, counted from one."""
    return (LITERAL, position, "", 0)


def var(label: str, offset: Dim | int = 0) -> Ix:
    """A free index, or one plus an offset."""
    return _with_offset(FREE, label, offset)


def bound(number_: int) -> Ix:
    """The summed index of that number."""
    return _BOUNDS[number_] if number_ < len(_BOUNDS) else (BOUND, number_, "", 0)


def _with_offset(kind: int, label: Any, offset: Dim | int) -> Ix:
    off = size(offset)
    return (kind, label, "" if off == 0 else str(off), off)


_BOUNDS: tuple[Ix, ...] = tuple((BOUND, k, "", 0) for k in range(48))


def shift(ix: Ix, offset: Dim | int) -> Ix:
    """The index plus *offset*."""
    off = size(offset)
    if off == 0:
        return ix
    if ix[0] == LITERAL:
        where = size(Dim.of(ix[1]) + ix[3] + off)
        if isinstance(where, int):
            return (LITERAL, where, "", 0)
        return (LITERAL, 0, str(where), where)
    return _with_offset(ix[0], ix[1], size(Dim.of(ix[3]) + off))


def plus_offset(ix: Ix, target: Ix) -> Ix:
    """*target* standing where *ix* stood: the offset of *ix* is kept."""
    return shift(target, ix[3]) if ix[2] else target


class Head(str):
    """What an atom is, without its indices. It *is* its canonical text, with data attached.

    kind    one letter, see below
    name    quantity, function or reduction
    sizes   sizes of the axes of a quantity, of a delta, or of the indices a body abstracts
    body    the closed expression inside, its indices called $0, $1, …
    facts   what is known of a quantity
    perms   permutations of the arguments that leave the atom as it is, each with its sign

    Kinds: T entry, D dimension name, N prime number, I delta, S composite index, L order of two
    indices, F function, P base of a power, B [body > 0], Q [body == 0], V matrix inverse,
    X determinant, R reduction over an index.
    """

    __slots__ = ("body", "cache", "facts", "full", "kind", "name", "orbits", "perms", "sizes")
    kind: str
    name: str
    sizes: tuple[Size, ...]
    body: Expr | None
    facts: frozenset[str]
    perms: tuple[tuple[tuple[int, ...], int], ...]
    orbits: tuple[int, ...]
    full: bool
    cache: dict[str, Any]

    @classmethod
    def make(
        cls,
        kind: str,
        name: str = "",
        sizes: tuple[Size, ...] = (),
        body: Expr | None = None,
        facts: frozenset[str] = frozenset(),
        perms: tuple[tuple[tuple[int, ...], int], ...] = (),
        full: bool = True,
    ) -> Head:
        text = f"{kind}{name}"
        if sizes:
            text += "[" + ",".join(map(str, sizes)) + "]"
        if facts:
            text += "{" + ",".join(sorted(facts)) + "}"
        if body is not None:
            text += f"<{body.text}>"
            if len(text) > LONGEST_TEXT:
                digest = blake2b(text.encode(), digest_size=16).hexdigest()
                text = f"{text[:40]}…{digest}>"
        if not full:
            text += "'"
        self = str.__new__(cls, text)
        self.kind, self.name, self.sizes, self.body = kind, name, sizes, body
        self.facts, self.perms, self.full = facts, perms, full
        self.cache = {}
        self.orbits = ()
        if perms:
            arity = len(perms[0][0])
            orbit = list(range(arity))
            for perm, _ in perms:
                for a, b in enumerate(perm):
                    low, high = sorted((orbit[a], orbit[b]))
                    orbit = [low if o == high else o for o in orbit]
            self.orbits = tuple(orbit)
        return self


Factor = tuple[Head, Args, Number]
Mono = tuple[tuple[Size, ...], tuple[Factor, ...]]
ONE_MONO: Mono = ((), ())


class Expr:
    """An immutable sum of monomials with exact rational coefficients."""

    __slots__ = ("_free", "_hash", "_text", "terms")

    def __init__(self, terms: dict[Mono, Number]) -> None:
        self.terms = terms
        self._hash: int | None = None
        self._text: str | None = None
        self._free: frozenset[str] | None = None

    @property
    def text(self) -> str:
        """A text that is the same exactly for equal expressions."""
        if self._text is None:
            parts = sorted(f"{mono_text(m)}*{c}" for m, c in self.terms.items())
            self._text = " + ".join(parts) or "0"
        return self._text

    @property
    def free(self) -> frozenset[str]:
        """Labels of the free indices."""
        if self._free is None:
            self._free = frozenset(
                a[1] for _, fs in self.terms for f in fs for a in f[1] if a[0] == FREE
            )
        return self._free

    @property
    def is_zero(self) -> bool:
        return not self.terms

    @property
    def constant(self) -> Number | None:
        """The number this is, or None."""
        if not self.terms:
            return 0
        if len(self.terms) == 1:
            ((mono, c),) = self.terms.items()
            return c if mono == ONE_MONO else None
        return None

    def items(self) -> Iterator[tuple[Mono, Number]]:
        return iter(self.terms.items())

    def __len__(self) -> int:
        return len(self.terms)

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Expr) and self.terms == other.terms)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __repr__(self) -> str:
        return self.text

    def __neg__(self) -> Expr:
        return Expr({m: -c for m, c in self.terms.items()})

    def __add__(self, other: Expr | Number) -> Expr:
        return add(self, as_expr(other))

    def __radd__(self, other: Number) -> Expr:
        return add(as_expr(other), self)

    def __sub__(self, other: Expr | Number) -> Expr:
        return add(self, -as_expr(other))

    def __rsub__(self, other: Number) -> Expr:
        return add(as_expr(other), -self)

    def scaled(self, by: Number) -> Expr:
        """This expression times a number."""
        if by == 1:
            return self
        if by == 0:
            return ZERO
        return Expr({m: number(c * by) for m, c in self.terms.items()})


ZERO = Expr({})
ONE = Expr({ONE_MONO: 1})


def as_expr(value: Expr | Number) -> Expr:
    """A number as a constant expression; an expression as itself."""
    return value if isinstance(value, Expr) else const(value)


def const(value: Number) -> Expr:
    """The constant expression."""
    value = number(value)
    return Expr({ONE_MONO: value}) if value else ZERO


def add(a: Expr, b: Expr) -> Expr:
    """The sum."""
    if len(a.terms) < len(b.terms):
        a, b = b, a
    if not b.terms:
        return a
    out = dict(a.terms)
    for mono, c in b.terms.items():
        put(out, mono, c)
    return Expr(out)


def total(parts: Iterable[Expr]) -> Expr:
    """The sum of many."""
    out: dict[Mono, Number] = {}
    for part in parts:
        for mono, c in part.terms.items():
            put(out, mono, c)
    return Expr(out)


def put(out: dict[Mono, Number], mono: Mono, c: Number) -> None:
    """Adds a term into a dictionary of terms, dropping it where it cancels."""
    old = out.get(mono)
    if old is None:
        if c:
            out[mono] = c
        return
    new = number(old + c)
    if new:
        out[mono] = new
    else:
        del out[mono]


def mono_text(mono: Mono) -> str:
    """A text that is the same exactly for equal monomials."""
    sizes, factors = mono
    parts = ["Σ" + ",".join(map(str, sizes)) + ":"] if sizes else []
    for head, args, e in factors:
        shown = ",".join(ix_text(a) for a in args)
        parts.append(f"{head}({shown})" + ("" if e == 1 else f"^{e}"))
    return "·".join(parts) or "1"


def ix_text(ix: Ix) -> str:
    """An index as text: `i`, `b0+2`, `#3`."""
    kind, label, key, _ = ix
    base = f"#{label}" if kind == LITERAL else f"b{label}" if kind == BOUND else str(label)
    return f"{base}+{key}" if key else base


def single(head: Head, args: Args = (), exponent: Number = 1) -> Expr:
    """One atom to a power, without any simplification."""
    return Expr({((), ((head, args, exponent),)): 1})
