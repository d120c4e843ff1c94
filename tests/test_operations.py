"""One request never holds the server: what the longest input may cost, in operations, not in time.

An operation is one on a word of memory, or one on a character. The budget takes a few milliseconds.
"""

from __future__ import annotations

import re

import pytest

from finch.config import Limits
from finch.http import patterns
from finch.http.paths import parse_path
from finch.http.patterns import MOST_STEPS, Pattern, Positions
from finch.http.routing import FinchRoute, Match, Router

BUDGET = 1_000_000
LINE = Limits().max_request_line
LONGEST = LINE - len("GET  HTTP/1.1\r\n")
WORD = 30  # bits that Python's integers keep in one


class Counter:
    """How much has been done."""

    def __init__(self):
        self.operations = 0  # on sets of positions
        self.words = 0  # that these operations took
        self.characters = 0  # that were looked at


@pytest.fixture
def counter(monkeypatch):
    """What ``split`` does, counted."""
    counter = Counter()

    class Set(int):
        """A set of positions that counts what is done with it."""

    def counted(name):
        plain = getattr(int, name)

        def operation(self, *others):
            value = plain(self, *others)
            counter.operations += 1
            counter.words += 1 + max(self.bit_length(), value.bit_length()) // WORD
            return Set(value)

        return operation

    for name in ("and", "or", "xor", "add", "sub", "lshift", "rshift"):
        for kind in (f"__{name}__", f"__r{name}__"):
            setattr(Set, kind, counted(kind))
    for name in ("__neg__", "__invert__"):
        setattr(Set, name, counted(name))

    class Expression:
        """A regular expression that counts the characters it looks at."""

        def __init__(self, expression):
            self.expression = expression

        def match(self, *where):
            found = self.expression.match(*where)
            counter.characters += 1 + len(found[0])
            return found

        def fullmatch(self, text, begin, end):
            counter.characters += 1 + end - begin
            return self.expression.fullmatch(text, begin, end)

    class Counted(Positions):
        def __init__(self, path):
            super().__init__(path)
            self.end = Set(self.end)
            self._all = Set(self._all)
            self._path = path

        def _of(self, characters):
            if characters not in self._masks:
                counter.characters += len(self._path)
            return Set(super()._of(characters))

        def latest(self, positions, begin, expression):
            return super().latest(positions, begin, Expression(expression))

    monkeypatch.setattr(patterns, "Positions", Counted)
    return counter


async def index(request, **params):
    return "index"


PATTERNS = [
    "/{year}-{month}-{day}",
    "/{a}-{b}-{c}/end",
    "/{name}.json",
    "/{name}.{kind}",
    "/{a}{b}",
    "/{a}{b}{c}{d}{e}{f}",
    "/{a}ab{b}cd{c}",
    "/{a:int}{b:int}{c:int}{d:int}",
    "/{a:int}-{b:int}{c}",
    "/{a:float}{b:float}{c:float}",
    "/{a:float}.{b:float}.{c}",
    "/{a}{b:float}{c}",
    "/{a}{b:uuid}{c}",
    "/{a:uuid}{b:path}{c:uuid}",
    "/{a:path}/edit",
    "/{a:path}/x/{b:path}",
    "/{a:path}/{b:path}/{c:path}/{d:path}",
    "/{a:path}{b:path}{c:path}x",
    "/{a:path}{b:int}{c:path}",
    "/{a}/{b:path}-{c}/{d}",
    "/" + "-".join(f"{{p{n}}}" for n in range(20)),
    "/" + "".join(f"{{p{n}:float}}" for n in range(20)),
]
PIECES = ["-", "/", "1", ".", "-1", "1.", "x", "ab", "abcd", "/x", "x/", "a-", "1" * 40, "é"]
ENDS = ["", "-", "/", "x", "5", "!", "/end", ".json", "/edit"]


def paths(length):
    for piece in PIECES:
        path = "/" + (piece * length)[: length - 1]
        for end in ENDS:
            yield path[: length - len(end)] + end


@pytest.mark.parametrize("path", PATTERNS)
def test_the_longest_path_takes_few_operations_whatever_it_is(path, counter):
    pattern = Pattern(parse_path(path))
    assert pattern.longest is not None
    assert pattern.longest < LONGEST

    for asked in paths(LONGEST):
        counter.words = counter.characters = 0
        pattern.find(asked)
        assert counter.words + counter.characters < BUDGET, asked[:20]


@pytest.mark.parametrize("path", PATTERNS)
def test_the_operations_do_not_grow_with_the_path_but_the_words_of_each(path, counter):
    pattern = Pattern(parse_path(path))
    most = {}
    for length in (1_000, 8_000):
        most[length] = [0, 0, 0]
        for asked in paths(length):
            counter.operations = counter.words = counter.characters = 0
            patterns.split(pattern.shape, asked)
            done = (counter.operations, counter.words, counter.characters)
            most[length] = [max(pair) for pair in zip(most[length], done, strict=True)]

    # how many digits of a number are given back, one by one, is a matter of a few more or less
    assert most[8_000][0] <= 1.5 * most[1_000][0]
    assert most[8_000][1] <= 8 * 1.5 * most[1_000][1]
    assert most[8_000][2] <= 8 * 1.5 * most[1_000][2]


@pytest.mark.parametrize("path", PATTERNS)
def test_all_the_choices_of_a_short_path_are_few_steps(path):
    pattern = Pattern(parse_path(path))
    choices = len(re.findall(r"\(\?P<\w+>(?!\(\?>)", pattern.expression.pattern))

    assert pattern.longest ** (choices + 1) <= MOST_STEPS


@pytest.mark.parametrize("longest", ["/" + "-" * (LONGEST - 1), "/" + "-" * (LONGEST - 2) + "/"])
def test_every_route_of_an_application_is_asked_once(longest, counter):
    router = Router()
    for path in PATTERNS:
        router.add(FinchRoute(f"/{len(router.routes())}{path}", index))
        router.add(FinchRoute(f"{path}", index, methods=["POST"]))

    found = router.match("POST", longest)

    assert isinstance(found, Match) is longest.endswith("-")
    assert counter.words + counter.characters < BUDGET
