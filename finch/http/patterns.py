"""Matches paths against a route's pattern, and finds the text of each parameter, in linear time.

Each parameter takes as much text as it can, if the rest still matches; the leftmost comes first. So
a pattern may leave a choice: in ``/{a}-{b}``, ``a`` may end before any of the dashes. A regular
expression tries every choice. If ``k`` parameters have a choice, its time grows with the path's
length to the power of ``k + 1``: ``/{a}-{b}-{c}`` took 10 s for 2,000 dashes. So this module uses a
regular expression only

- if the pattern leaves no choice, as most do: each parameter is an atomic group, so the expression
  never tries anything twice;
- if the path is short, as most are: all choices together then take few steps (``MOST_STEPS``).

In all other cases it uses ``split``. That goes through the pattern from right to left, and finds
the positions from which the rest of the pattern matches. It handles each element of the pattern
once, and all positions of the path at the same time, as the bits of an integer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from finch.http.paths import CONVERTERS, Element, Parameter

MOST_STEPS: Final = 1 << 16
"""The most steps that a regular expression may take for a pattern with choices: 1 ms or less."""

DIGITS: Final = 18
"""The most digits of a number before the point, and after it. Such an integer fits in 64 bits."""

_HEX: Final = "0123456789abcdefABCDEF"

Shape = tuple[str | tuple[str], ...]
"""A pattern without the names of its parameters: each piece is a literal text, or a tuple with the
name of a converter."""


class Found(Protocol):
    """A match: the part of ``re.Match`` that Finch uses."""

    def groupdict(self) -> dict[str, Any]:
        """The text of each parameter by its name, in order; a new dict."""


class Pattern:
    """A route's path, ready for matching.

    Parameters:
        elements: as :func:`finch.http.paths.parse_path` returns them; a parameter without a
            converter is a ``str``.

    Attributes:
        shape: patterns of the same shape match the same paths.
        names: the parameters' names, in order.
        converters: the names of their converters.
        convert: pairs of a parameter's name and what makes a value of its text. Parameters that
            stay text are not in it.
        find: takes a path; returns the match, or None.
        longest: the regular expression is used for paths up to this length; None if it is used for
            every path.

    Example::

        Pattern(parse_path("/{year}-{month}")).find("/2024-02").groupdict()
        # {"year": "2024", "month": "02"}
    """

    __slots__ = ("convert", "converters", "expression", "find", "longest", "names", "shape")

    def __init__(self, elements: Sequence[Element]) -> None:
        self.shape: Shape = tuple(
            element if isinstance(element, str) else (element.converter or "str",)
            for element in elements
        )
        self.names = [element.name for element in elements if isinstance(element, Parameter)]
        self.converters = [piece[0] for piece in self.shape if isinstance(piece, tuple)]
        self.convert = [
            (name, CONVERTERS[converter])
            for name, converter in zip(self.names, self.converters, strict=True)
            if CONVERTERS[converter] is not str
        ]
        expression, choices = _compile(self.shape, self.names)
        self.expression = re.compile(expression, re.DOTALL)
        self.find: Callable[[str], Found | None]
        self.longest: int | None
        if choices:
            self.longest = int(MOST_STEPS ** (1 / (choices + 1)))
            self.find = self._find
        else:
            self.longest = None
            self.find = self.expression.fullmatch

    def covers(self, other: Pattern) -> bool:
        """Whether this pattern certainly matches every path that the other one matches.

        False means only that a quick check does not prove it.
        """
        if len(self.shape) == 2 and self.shape[1] == ("path",):
            (text, _), (begin, *rest) = self.shape, other.shape
            return isinstance(begin, str) and begin.startswith(str(text)) and bool(rest)
        return len(self.shape) == len(other.shape) and all(
            mine == its or (mine, its) in _WIDER or _takes_any(mine, its)
            for mine, its in zip(self.shape, other.shape, strict=True)
        )

    def read(self, found: Found) -> dict[str, Any] | None:
        """The values of the parameters; None if an application's own converter refuses a text.

        Parameters:
            found: what :attr:`find` has found.
        """
        values = found.groupdict()
        try:
            for name, convert in self.convert:
                values[name] = convert(values[name])
        except ValueError:
            return None
        return values

    def _find(self, path: str) -> Found | None:
        if self.longest is not None and len(path) > self.longest:
            texts = split(self.shape, path)
            return None if texts is None else Split(zip(self.names, texts, strict=True))
        return self.expression.fullmatch(path)


def _takes_any(mine: str | tuple[str], its: str | tuple[str]) -> bool:
    """Whether the other piece is an application's own converter, and this one takes any segment."""
    return mine in (("str",), ("path",)) and isinstance(its, tuple) and its[0] not in _LANGUAGES


def _compile(shape: Shape, names: Sequence[str]) -> tuple[str, int]:
    """The regular expression, and the number of parameters that leave a choice.

    If ``k`` parameters leave a choice, the expression tries at most ``length ** k`` ways, and reads
    at most ``length`` characters for each.
    """
    expression = ""
    choices = 0
    coming = iter(names)
    for piece, following in zip(shape, [*shape[1:], None], strict=True):
        if isinstance(piece, str):
            expression += re.escape(piece)
            continue
        text = _language_of(piece[0]).expression.pattern
        if _leaves_a_choice(piece[0], following):
            choices += 1
        else:
            text = f"(?>{text})"
        expression += f"(?P<{next(coming)}>{text})"
    return expression, choices


def _leaves_a_choice(converter: str, following: str | tuple[str] | None) -> bool:
    """Whether a parameter may have to take less text than it can, so that the rest matches."""
    if following is None or converter == "uuid":
        return False  # it ends where the path ends, or after 36 characters
    if isinstance(following, tuple):
        return True
    # If the parameter took less text, the next character would be one that it could have taken
    # itself. So there is a choice only if the following text begins with such a character.
    return _language_of(converter).goes_on.match(following) is not None


class Split(dict[str, Any]):
    """The text of each parameter by its name."""

    def groupdict(self) -> dict[str, Any]:
        """Like ``re.Match.groupdict``."""
        return dict(self)


def split(shape: Shape, path: str) -> list[str] | None:
    """Match a whole path, in time proportional to its length.

    Returns:
        The text of each parameter, in order; None if the path does not match.
    """
    first, last = shape[0], shape[-1]
    if isinstance(first, str) and not path.startswith(first):
        return None  # a quick check first: most routes differ in how they begin
    if isinstance(last, str) and not path.endswith(last):
        return None
    # From right to left: the positions from which each piece, and all that follows it, matches.
    positions = Positions(path)
    matching = [positions.end]
    for piece in reversed(shape):
        if isinstance(piece, str):
            matching.append(positions.before_text(matching[-1], piece))
        else:
            matching.append(_language_of(piece[0]).before(positions, matching[-1]))
    if not positions.has(matching.pop(), 0):
        return None
    # From left to right: each parameter ends as late as the rest allows.
    texts = []
    begin = 0
    for piece in shape:
        rest = matching.pop()
        if isinstance(piece, str):
            begin += len(piece)
        else:
            end = positions.latest(rest, begin, _language_of(piece[0]).expression)
            texts.append(path[begin:end])
            begin = end
    return texts


class _Ones(dict[int, str]):
    """A table for ``str.translate``: "1" for some characters, "0" for all others."""

    def __missing__(self, key: int) -> str:
        return "0"


@lru_cache(maxsize=256)  # the characters are those of the application's patterns
def _ones(characters: str) -> _Ones:
    return _Ones({ord(character): "1" for character in characters})


class Positions:
    """Sets of positions in a path, from 0 to its length. Each set is an integer, bit by bit.

    Bit ``i`` stands for the position ``length - i``. So a shift to the left by one goes back by one
    character in the path, and the carry of an addition goes backwards, too.

    A method ``before_x`` takes the set of positions at which an ``x`` may end. It returns the set
    of positions at which that ``x`` may begin. It needs the same few operations for any path.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._all = (1 << (len(path) + 1)) - 1
        self._masks: dict[str, int] = {}
        self.end = 1
        """The set that holds only the end of the path."""

    def has(self, positions: int, position: int) -> bool:
        return positions >> (len(self._path) - position) & 1 == 1

    def latest(self, positions: int, begin: int, expression: re.Pattern[str]) -> int:
        """The last of these positions at which a text that begins at ``begin`` can end."""
        found = expression.match(self._path, begin)
        assert found is not None, "split() has made sure that a text begins at this position"
        behind = len(self._path) - found.end()
        positions = positions >> behind << behind  # remove those after the longest text
        # One round for str and path; for numbers at most one for each digit of the longest number.
        while True:
            end = len(self._path) + 1 - (positions & -positions).bit_length()
            if expression.fullmatch(self._path, begin, end):
                return end
            positions &= positions - 1

    def before_text(self, ends: int, text: str) -> int:
        for character in reversed(text):
            ends = self._before_one(ends, character)
        return ends

    def before_segment(self, ends: int) -> int:
        """One or more characters other than a slash."""
        runs = self._all & ~self._of("/") & ~1
        begins = runs & (ends << 1)
        # A run of ones is a segment of the path. Adding a bit to a run changes every bit from there
        # to the top of the run, by the carry: these are the positions at which the text may begin.
        # Each further bit that is added to the same run ends up set again, and the XOR misses it:
        # "| begins" puts it back.
        return (((runs + begins) ^ runs) | begins) & runs

    def before_rest(self, ends: int) -> int:
        """One or more characters of any kind."""
        last = ends & -ends
        return self._all & -(last << 1)

    def before_integer(self, ends: int) -> int:
        digits = self._before_digits(ends)
        return digits | self._before_one(digits, "-")

    def before_decimal(self, ends: int) -> int:
        return self.before_integer(ends | self._before_one(self._before_digits(ends), "."))

    def before_uuid(self, ends: int) -> int:
        for digits in (12, 4, 4, 4, 8):
            if digits != 12:
                ends = self._before_one(ends, "-")
            for _ in range(digits):
                ends = self._before_one(ends, _HEX)
        return ends

    def _before_digits(self, ends: int) -> int:
        found = 0
        for _ in range(DIGITS):
            ends = self._before_one(ends, "0123456789")
            found |= ends
        return found

    def _before_one(self, ends: int, characters: str) -> int:
        return self._of(characters) & (ends << 1)

    def _of(self, characters: str) -> int:
        """The positions of these characters."""
        mask = self._masks.get(characters)
        if mask is None:
            mask = int(self._path.translate(_ones(characters)), 2) << 1
            self._masks[characters] = mask
        return mask


class _Language(NamedTuple):
    """Which texts a converter accepts.

    Attributes:
        expression: a regular expression for these texts.
        goes_on: matches the characters with which such a text may continue.
        before: the method of :class:`Positions` for these texts.
    """

    expression: re.Pattern[str]
    goes_on: re.Pattern[str]
    before: Callable[[Positions, int], int]


def _language(expression: str, goes_on: str, before: Callable[[Positions, int], int]) -> _Language:
    return _Language(re.compile(expression, re.DOTALL), re.compile(goes_on, re.DOTALL), before)


_NUMBER: Final = rf"[0-9]{{1,{DIGITS}}}"
_LANGUAGES: Final = {
    "str": _language(r"[^/]+", r"[^/]", Positions.before_segment),
    "int": _language(rf"-?{_NUMBER}", r"[0-9]", Positions.before_integer),
    "float": _language(rf"-?{_NUMBER}(?:\.{_NUMBER})?", r"[0-9.]", Positions.before_decimal),
    "uuid": _language(
        rf"[{_HEX}]{{8}}(?:-[{_HEX}]{{4}}){{3}}-[{_HEX}]{{12}}", r"(?!)", Positions.before_uuid
    ),
    "path": _language(r".+", r".", Positions.before_rest),
}


def _language_of(converter: str) -> _Language:
    """An application's own converter takes one segment; its function refuses what it does not
    want."""
    return _LANGUAGES.get(converter, _LANGUAGES["str"])


_WIDER: Final = {
    ((wide,), (narrow,))
    for wide, narrow in [
        *(("path", narrow) for narrow in ("str", "int", "float", "uuid")),
        *(("str", narrow) for narrow in ("int", "float", "uuid")),
        ("float", "int"),
    ]
}
