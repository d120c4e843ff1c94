"""Mistakes in ``allowed_origins``, and a page that is not in it."""

import pytest

from finch import FinchApp, SocketManager
from finch.testing import HandshakeRefused, TestClient
from tests.mistakes.book import listening, mistake

AREA = "Origins of sockets"


@mistake(AREA, 'FinchApp(allowed_origins=["example.org"])', "https://example.org")
def an_origin_without_its_scheme():
    FinchApp(allowed_origins=["example.org"])


@mistake(AREA, 'FinchApp(allowed_origins=["https://*.example.org"])', "wildcard", "each origin")
def a_wildcard():
    FinchApp(allowed_origins=["https://*.example.org"])


@mistake(
    AREA, 'FinchApp(allowed_origins=["https://example.org/app"])', "Write 'https://example.org'"
)
def a_whole_url():
    FinchApp(allowed_origins=["https://example.org/app"])


@mistake(AREA, 'FinchApp(allowed_origins=["wss://example.org"])', "write 'https://example.org'")
def the_url_of_the_socket():
    FinchApp(allowed_origins=["wss://example.org"])


@mistake(AREA, 'FinchApp(allowed_origins="https://a.example, https://b.example")', "as a list")
def several_in_one_text():
    FinchApp(allowed_origins="https://a.example, https://b.example")


@mistake(AREA, 'FinchApp(allowed_origins=["https://example.org:0"])', "port")
def a_port_that_there_is_not():
    FinchApp(allowed_origins=["https://example.org:0"])


@mistake(AREA, 'FinchApp(allowed_origins=["https://straße.example"])', "xn--")
def a_name_that_python_and_browsers_convert_differently():
    FinchApp(allowed_origins=["https://straße.example"])


@mistake(AREA, "SocketManager(app, path=..., allowed_origins=True)", "'*'")
def true_for_any():
    SocketManager(FinchApp(), path="/ws", allowed_origins=True)


@mistake(
    AREA,
    "a page of another site opens a socket (the log)",
    'allowed_origins=["https://friend.example"]',
)
async def a_page_of_another_site():
    app = FinchApp()

    @app.socket("say")
    async def say(socket, data): ...

    with listening() as heard:
        async with TestClient(app) as client:
            with pytest.raises(HandshakeRefused):
                async with client.socket("/ws", headers={"origin": "https://friend.example"}):
                    pass
    return heard[0]
