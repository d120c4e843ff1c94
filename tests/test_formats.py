"""The formats of the log: what a peer says stays inside its entry, whatever the format."""

import io
import json
import logging

import httpx
import pytest

from finch.cli import main
from finch.formats import JSON, Access, Coloured, Text, format_for
from tests.processes import finch

HOSTILE = 'a\nERROR b\r\x1b[2J"\\\x7f\x85\x9b31m\u2028 \udcff'
ENTRY = Access("127.0.0.1:5", "GET", "/a%0a", "1.1", 404, 9, 0.00123456)
REFUSED = Access("-", "", "", "", 400, 12, 0.0)


def record(message="hello %s", *arguments, level=logging.INFO, error=None, **extra):
    made = logging.LogRecord("shop", level, "shop.py", 1, message, arguments or ("you",), None)
    vars(made).update(extra)
    if error is not None:
        made.exc_info = (type(error), error, error.__traceback__)
    return made


def raised():
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        return error


# Text


def test_text_is_what_logging_writes():
    written = Text(" [2]").formatter.format(record())
    assert written.endswith(" INFO [2] shop: hello you")
    assert written[:20] == Text().lines([ENTRY], record().created)[:20]


def test_access_lines_are_plain_text():
    one, two = Text(" [2]").lines([ENTRY, REFUSED], 1.5).splitlines()
    assert one.endswith(',500 INFO [2] finch.access: 127.0.0.1:5 "GET /a%0a HTTP/1.1" 404')
    assert two.endswith(',500 INFO [2] finch.access: - "-" 400')


# Colours


def test_levels_and_statuses_have_colours():
    form = Coloured()
    assert "\x1b[31mERROR\x1b[0m" in form.formatter.format(record(level=logging.ERROR))
    assert "\x1b[33m404\x1b[0m\n" in form.lines([ENTRY], 1.0)
    assert "\x1b[32m200\x1b[0m\n" in form.lines([ENTRY._replace(status=200)], 1.0)


@pytest.mark.parametrize("form", [Text(), Coloured()])
def test_without_its_colours_coloured_text_is_plain_text(form):
    for made in (record(), record(error=raised()), record("%s", HOSTILE)):
        text = form.formatter.format(made)
        for code in ("\x1b[2m", "\x1b[0m", "\x1b[32m"):
            text = text.replace(code, "")
        assert text == Text().formatter.format(made)


def test_no_control_character_of_a_peer_reaches_a_terminal():
    text = Coloured().formatter.format(record("%s", HOSTILE, error=raised()))
    assert "\x1b[2J" not in text
    assert "\x9b" not in text
    assert "\n    ERROR b" in text  # it is indented, and so is no entry


def test_a_logger_with_a_hostile_name_is_escaped_too():
    made = record()
    made.name = "a\x1b[2J"
    assert "\x1b" not in Coloured().formatter.format(made)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "kind"),
    [
        (Terminal(), {"TERM": "xterm"}, Coloured),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, Coloured),  # empty: not set
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, Text),
        (Terminal(), {"TERM": "dumb"}, Text),
        (Terminal(), {}, Text),
        (io.StringIO(), {"TERM": "xterm"}, Text),
        (None, {"TERM": "xterm"}, Text),
    ],
)
def test_only_a_terminal_that_wants_colours_gets_them(stream, environment, kind, monkeypatch):
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert type(format_for("text", stream)) is kind
    assert type(format_for("json", stream)) is JSON


def test_a_closed_stream_gets_plain_text(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    stream.close()
    assert type(format_for("text", stream)) is Text


# JSON


def test_a_record_is_one_object():
    made = record(user=7, tags={"a"}, level=logging.WARNING)
    made.created = 0.25
    assert json.loads(JSON(" [2]").formatter.format(made)) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "WARNING",
        "logger": "shop",
        "message": "hello you",
        "worker": 2,
        "user": 7,
        "tags": ["a"],
    }


def test_an_exception_is_in_it():
    found = json.loads(JSON().formatter.format(record(error=raised())))
    assert found["exception"].startswith("Traceback (most recent call last)")
    assert "ValueError" in found["exception"]


def test_a_request_is_one_object():
    [line] = JSON().lines([ENTRY], 0.25).splitlines()
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "INFO",
        "logger": "finch.access",
        "message": "GET /a%0a HTTP/1.1 404",
        "client": "127.0.0.1:5",
        "method": "GET",
        "path": "/a%0a",
        "status": 404,
        "bytes": 9,
        "duration": 0.001235,
    }


class Bad:
    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "made",
    [
        record("%s", HOSTILE),
        record(error=raised()),
        record(value=Bad()),
        record(value=HOSTILE),
        record(value=2**70),
        record(value=float("nan")),
        record(value={1: {2: "x"}}),
        record(level="\u2028"),  # a field that hides the level does not replace it
    ],
)
def test_whatever_is_logged_is_one_line_of_visible_characters(made):
    written = JSON().formatter.format(made)
    assert "\n" not in written
    assert written.isprintable()
    assert json.loads(written)["logger"] == "shop"


def test_the_command_line_logs_json(tmp_path):
    (tmp_path / "app.py").write_text(
        "import logging\nfrom finch import FinchApp\napp = FinchApp()\n"
        "@app.get('/')\nasync def index(request):\n"
        "    logging.getLogger('shop').warning('low', extra={'left': 3})\n    1 / 0\n"
    )
    with finch("app", "--port", 0, "--log-format", "json", cwd=tmp_path) as process:
        assert httpx.get(process.url).status_code == 500
        process.signal()
        code, out = process.wait()
    low, failed, access = map(json.loads, out.splitlines())
    assert code == 0
    assert (low["logger"], low["message"], low["left"]) == ("shop", "low", 3)
    assert "1 / 0" in failed["exception"]
    assert (access["path"], access["status"]) == ("/", 500)


def test_a_wrong_format_is_said(capsys):
    with pytest.raises(SystemExit):
        main(["app", "--log-format", "xml"])
    assert "invalid choice: 'xml'" in capsys.readouterr().err
