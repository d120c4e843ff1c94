"""The options of sockets: what a path leaves out, and how they are shown and misspelt."""

import inspect

import pytest

from finch import ConfigurationError, FinchApp, Limits, SocketManager
from finch.sockets.options import OfManager, OfSocket

ALL = {"allowed_origins", "subprotocols", "compression", "max_message_size", "sse"}


def values(options):
    return {name: getattr(options, name) for name in ALL}


def test_a_path_has_the_options_of_its_application_unless_it_says_otherwise():
    app = FinchApp(allowed_origins="null", compression=True, limits=Limits(max_message_size=100))
    same = app.socket_options.varied({"allowed_origins": None, "compression": None})
    assert values(same) == values(app.socket_options)
    other = same.varied({"allowed_origins": [], "subprotocols": ["chat"], "max_message_size": 7})
    assert values(other) == {
        "allowed_origins": frozenset(),
        "subprotocols": ("chat",),
        "compression": True,
        "max_message_size": 7,
        "sse": True,
    }


def test_a_size_of_the_application_goes_before_that_of_its_limits():
    limits = Limits(max_message_size=100)
    assert FinchApp(limits=limits, max_message_size=7).socket_options.max_message_size == 7
    assert FinchApp(limits=limits, max_message_size=None).socket_options.max_message_size == 100


@pytest.mark.parametrize("option", ["allowed_origins", "compression"])
def test_an_application_has_nobody_to_whom_it_could_leave_an_option(option):
    with pytest.raises(ConfigurationError, match=f"{option} is .*None"):
        FinchApp(**{option: None})


@pytest.mark.parametrize(
    ("taker", "options"),
    [
        (FinchApp, ALL - {"subprotocols"}),
        (SocketManager, ALL),
        (FinchApp.websocket, ALL - {"sse"}),
    ],
)
def test_whoever_takes_options_shows_each_with_its_type(taker, options):
    shown = inspect.signature(taker).parameters
    assert options == ALL & shown.keys()
    assert "bool" in shown["compression"].annotation
    assert not [one for one in shown.values() if one.kind is one.VAR_KEYWORD]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda app: FinchApp(alowed_origins="*"),
            "FinchApp.__init__() got an unexpected keyword argument 'alowed_origins'. Did you mean "
            "'allowed_origins'?",
        ),
        (
            lambda app: FinchApp(subprotocols=["chat"]),
            "FinchApp.__init__() got an unexpected keyword argument 'subprotocols'",
        ),
        (
            lambda app: SocketManager(app, rotes={}),
            "SocketManager.__init__() got an unexpected keyword argument 'rotes'. Did you mean "
            "'routes'?",
        ),
        (
            lambda app: app.websocket("/", compress=True),
            "FinchApp.websocket() got an unexpected keyword argument 'compress'. Did you mean "
            "'compression'?",
        ),
    ],
)
def test_a_misspelt_option_is_refused_as_python_does(call, says):
    with pytest.raises(TypeError) as raised:
        call(FinchApp())
    assert str(raised.value) == says


def test_a_misspelt_option_leaves_the_application_as_it_was():
    app = FinchApp()
    with pytest.raises(TypeError):
        SocketManager(app, path="/admin", compresion=True)
    assert app.routes == []


def test_every_option_is_declared_for_a_path():
    assert OfManager.__optional_keys__ == ALL
    assert OfSocket.__optional_keys__ == ALL - {"sse"}
