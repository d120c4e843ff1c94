"""Settings: what values they take, and that the documentation has all of them.

``python -m tests.test_settings`` writes the table of ``docs/settings.md`` anew.
"""

import pytest

from finch.settings import BY_NAME, SETTINGS, read, read_typed
from tests.pages import ROOT

PAGE = ROOT / "docs" / "settings.md"
BEGIN = "<!-- made by: python -m tests.test_settings -->\n"
END = "<!-- end -->\n"


def table():
    lines = ["| key | on the command line | in the environment | values | default | what it does |"]
    lines.append("|---|---|---|---|---|---|")
    for setting in SETTINGS:
        option = "first word" if setting.name == "app" else f"`{setting.option}`"
        values = ", ".join(setting.choices) or setting.kind.about
        default = "" if setting.default in (None, ()) else f"`{setting.default}`".lower()
        cells = [
            f"`{setting.name}`",
            option,
            f"`{setting.variable}`",
            values,
            default,
            setting.help,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def redrawn(page):
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def test_the_page_has_the_table():
    page = PAGE.read_text(encoding="utf-8")
    assert redrawn(page) == page, "run: python -m tests.test_settings"


def test_what_finch_run_takes_are_keywords_of_the_table():
    from finch.serving import _OPTIONS

    assert [setting.name for setting in SETTINGS if setting.keyword] == list(_OPTIONS)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("port", "0", 0),
        ("port", "65535", 65535),
        ("workers", "auto", 0),
        ("workers", "999", 999),
        ("access_log", "No", False),
        ("debug", "1", True),
        ("forwarded_allow_ips", " 10.0.0.1,, unix ", ("10.0.0.1", "unix")),
        ("log_level", "warning", "warning"),
    ],
)
def test_a_text_stands_for_a_value(name, text, value):
    assert read(BY_NAME[name], text) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("port", "65536", "'65536' is not a port; write a number from 0 to 65535"),
        ("port", "-1", "is not a port"),
        ("port", "\u0661", "is not a port"),  # a digit, but not one that anybody means
        ("port", "8080 ", "is not a port"),
        ("port", "9" * 5000, "is not a port"),
        ("host", "", "it is empty; leave it out"),
        ("fd", "three", "is not a descriptor"),
        ("workers", "0", "is no number of workers"),
        ("workers", "1000", "is no number of workers"),
        ("debug", "maybe", "'maybe' is neither true nor false"),
        ("log_level", "loud", "'loud' is not one of debug, info"),
    ],
)
def test_a_text_that_stands_for_nothing_is_refused(name, text, says):
    with pytest.raises(ValueError, match=says):
        read(BY_NAME[name], text)


@pytest.mark.parametrize(
    ("name", "value", "read_as"),
    [
        ("port", 80, 80),
        ("workers", "auto", 0),
        ("workers", 4, 4),
        ("debug", True, True),
        ("reload_dir", ["a", "b"], ("a", "b")),
        ("reload_dir", "a, b", ("a", "b")),
    ],
)
def test_a_value_of_toml_is_a_value(name, value, read_as):
    assert read_typed(BY_NAME[name], value) == read_as


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("port", "80", "'80' is not a number from 0 to 65535; write port = 80"),
        ("port", True, "True is not a number"),  # True is an int of Python
        ("port", 8.5, "8.5 is not a number"),
        ("debug", "true", "'true' is not true or false; write debug = true"),
        ("debug", 1, "1 is not true or false"),
        ("host", ["a"], "is not a text"),
        ("reload_dir", [1], "1 is not a text; write a list"),
        ("port", {"a": 1}, "is not a number"),
    ],
)
def test_a_value_of_toml_of_another_type_is_refused(name, value, says):
    with pytest.raises(ValueError, match=says):
        read_typed(BY_NAME[name], value)


if __name__ == "__main__":
    PAGE.write_text(redrawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
