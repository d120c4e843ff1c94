"""Which paths a pattern matches: as a backtracking regular expression would, in linear time."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from finch.http.paths import Parameter, parse_path
from finch.http.patterns import MOST_STEPS, Pattern, split

ID = "12345678-1234-5678-1234-56781234abcd"

# The law: leftmost parameter first, each as long as it can be, found by trying.
EXPRESSIONS = {
    "str": r"[^/]+",
    "int": r"-?[0-9]{1,18}",
    "float": r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?",
    "uuid": r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "path": r".+",
}


def tried(elements, path):
    """The texts that backtracking finds, or None."""
    expression = "".join(
        re.escape(element) if isinstance(element, str) else f"({EXPRESSIONS[element.converter]})"
        for element in elements
    )
    found = re.compile(expression, re.DOTALL).fullmatch(path)
    return None if found is None else list(found.groups())


TEXT = st.text("a1-./é", min_size=1, max_size=3)
CONVERTER = st.sampled_from(list(EXPRESSIONS))
LIKE = {
    "str": st.text("a1-.é", min_size=1, max_size=4),
    "int": st.from_regex(r"-?[01]{1,4}", fullmatch=True),
    "float": st.from_regex(r"-?[01]{1,3}(\.[01]{1,3})?", fullmatch=True),
    "uuid": st.sampled_from([ID, ID.upper()]),
    "path": st.text("a1-./\n", min_size=1, max_size=4),
}


@st.composite
def patterns_and_paths(draw):
    """A pattern, and a path that often matches it, sometimes in several ways."""
    pieces = draw(st.lists(TEXT | CONVERTER.map(lambda name: (name,)), max_size=6))
    elements, path = ["/"], "/"
    for piece in pieces:
        if isinstance(piece, tuple):
            elements.append(Parameter(f"p{len(elements)}", piece[0]))
            path += draw(LIKE[piece[0]])
        else:
            elements.append(piece)
            path += piece
    if draw(st.integers(0, 3)) == 0:  # and now and then one that does not
        cut = draw(st.integers(0, len(path)))
        path = path[:cut] + draw(st.text("a1-./f\n", max_size=3)) + path[cut + 1 :]
    return tuple(elements), path


@settings(max_examples=600, deadline=None)
@given(patterns_and_paths())
@example((("/", Parameter("a", "str"), "-", Parameter("b", "str")), "/--------"))
@example((("/", Parameter("a", "float"), ".", Parameter("b", "str")), "/5.5"))
@example((("/", Parameter("a", "int"), Parameter("b", "int")), "/" + "1" * 36))
@example((("/", Parameter("a", "int"), Parameter("b", "int")), "/" + "1" * 37))
@example((("/", Parameter("a", "float"), Parameter("b", "int")), "/1." + "1" * 20))
@example((("/", Parameter("a", "path"), "/x/", Parameter("b", "path")), "/x/x/x/x/x/x"))
@example((("/", Parameter("a", "uuid"), Parameter("b", "uuid")), "/" + ID + ID))
@example((("/", Parameter("a", "str"), Parameter("b", "uuid")), "/1" + ID))
def test_each_parameter_takes_as_much_as_it_can_the_leftmost_first(drawn):
    elements, path = drawn
    expected = tried(elements, path)
    pattern = Pattern(elements)

    if "/" in path[:1]:
        assert split(pattern.shape, path) == expected
    for longest in (pattern.longest, 0 if pattern.longest else None):
        pattern.longest = longest
        found = pattern.find(path)
        assert (None if found is None else list(found.groupdict().values())) == expected


def find(path, asked):
    found = Pattern(parse_path(path)).find(asked)
    return None if found is None else found.groupdict()


LONG = "x" * 8000


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("/{a}-{b}", f"/{LONG}-y-z", {"a": f"{LONG}-y", "b": "z"}),
        ("/{a}-{b}", f"/{LONG}", None),
        ("/{a}{b}", f"/{LONG}yz", {"a": f"{LONG}y", "b": "z"}),
        ("/{a:path}/x/{b:path}", f"/{LONG}/x/y/x/z", {"a": f"{LONG}/x/y", "b": "z"}),
        ("/{a:path}.{b}", f"/{LONG}.tar/y.gz", {"a": f"{LONG}.tar/y", "b": "gz"}),
        ("/{a}.{b:int}", f"/{LONG}.5", {"a": LONG, "b": "5"}),
        ("/{a}{b:int}", f"/{LONG}55", {"a": f"{LONG}5", "b": "5"}),
        ("/{a}{b:float}", f"/{LONG}5.5", {"a": f"{LONG}5.", "b": "5"}),
        ("/{a}{b:float}/", f"/{LONG}-5/", {"a": f"{LONG}-", "b": "5"}),
        ("/{a}{b:uuid}", f"/{LONG}{ID}", {"a": LONG, "b": ID}),
        ("/{a}-{b}/鳥", f"/{LONG}-é/鳥", {"a": LONG, "b": "é"}),
        ("/{a}-{b}/鳥", f"/{LONG}-é/魚", None),
        ("/{a}-{b}", f"/x{LONG}-\n", {"a": f"x{LONG}", "b": "\n"}),
        ("/{a}-{b}", f"x{LONG}-y", None),
    ],
)
def test_a_long_path_is_matched_in_the_same_way(pattern, path, found):
    assert find(pattern, path) == found


# What the regular expression is left with


@pytest.mark.parametrize(
    "path",
    [
        "/birds/{a:int}",
        "/a/{b}/c/{d}",
        "/{a:int}-{b:int}-{c:int}",
        "/{a:uuid}{b}",
        "/{a:uuid}{b:uuid}-{c:path}",
        "/{a:float}-{b}/{c:path}",
        "/report-{a:int}.txt",
    ],
)
def test_a_pattern_without_a_choice_tries_nothing_twice(path):
    pattern = Pattern(parse_path(path))
    atomic = "|".join(map(re.escape, EXPRESSIONS.values())).replace("0\\-9a\\-fA\\-F", ".*?")
    rest = re.sub(rf"\(\?P<\w>\(\?>({atomic})\)\)", "", pattern.expression.pattern)

    assert pattern.longest is None
    assert re.fullmatch(r"(\w|/|\\.)*", rest), "literal text is all that is left"


@pytest.mark.parametrize(
    ("path", "choices"),
    [
        ("/{a}.json", 1),
        ("/{a:path}/edit", 1),
        ("/{a:float}.{b}", 1),
        ("/{a:int}0", 1),
        ("/{a}{b}", 1),
        ("/{a}-{b}-{c}", 2),
        ("/{a:int}{b:int}{c:int}", 2),
        ("/{a:path}/{b:path}/{c:path}/{d}", 3),
        ("/" + "-".join(f"{{p{n}}}" for n in range(11)), 10),
    ],
)
def test_a_pattern_with_choices_tries_them_only_while_they_are_few(path, choices):
    longest = Pattern(parse_path(path)).longest

    assert longest is not None
    assert longest ** (choices + 1) <= MOST_STEPS < (longest + 1) ** (choices + 1)


# Patterns among themselves


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("/a/{x}", "/a/{y:int}", True),
        ("/a/{x:int}", "/a/{y}", False),
        ("/a/{x:float}", "/a/{y:int}", True),
        ("/a/{x:path}", "/a/{y}/b/{z}", True),
        ("/a/{x:path}", "/b/{y}", False),
        ("/a/{x:path}", "/a{y}", False),
        ("/{x:path}", "/{y}", True),
        ("/{x}/{y}", "/{a:uuid}/{b:int}", True),
        ("/{x}/{y}", "/{a:uuid}/{b:path}", False),
        ("/{x}", "/{y}/{z}", False),
    ],
)
def test_a_pattern_that_plainly_matches_all_of_another_ones_paths(wide, narrow, covers):
    assert Pattern(parse_path(wide)).covers(Pattern(parse_path(narrow))) is covers
