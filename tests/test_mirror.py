"""The tests have the folders of the house: what tests ``finch/http/`` is in ``tests/http/``.

There, ``test_routing.py`` tests ``finch/http/routing.py``. A test module about several modules is a
story, and ``STORIES`` says what it is about. Directly in ``tests/`` are the tests of the base, and
the stories about several folders.
"""

from pathlib import Path

import pytest

from tests.test_layers import MODULES

TESTS = Path(__file__).parent

# Folder by folder: test modules that are named after no module, and why.
STORIES = {
    "wire": {
        "bodies_that_look_like_chunks": "http and body: what is no framing is not taken for it",
        "closing_words": "websocket: the codes and reasons that an application may close with",
        "default_ports": "handshake: an origin without a port has that of its scheme",
        "fast_path": "frames and websocket: the fast path and wsproto give the same results",
        "framing": "http and handshake: how a response is framed is decided once for both",
        "long_hellos": "hello: a ClientHello is as long as all bytes of its length say",
        "longest": "all of wire, and others who read input: nothing takes quadratic time",
        "vectors": "envelope and message: the exchanges that test a client in any language",
        "offers": "extensions: which offers of compression are declined",
        "proxied_addresses": "proxy: the client's port does not depend on the server's address",
        "rests": "websocket, frames and authority: within and between messages",
        "rfc": "http, head and body: what the RFCs say, section by section",
        "second_response": "http: of one response, nothing is left for the next",
        "wrong_reports_of_proxies": "forwarded: what a proxy reports wrongly is 400",
    },
    "http": {
        "kept_requests": "request: what the request of an open WebSocket keeps",
        "sent_files": "opened, file_replies and sending: files on their way, over every connection",
        "spoken_languages": "language, through FinchApp: which languages may be given",
        "streams_left_behind": "request, streaming and connection: generators that nobody sends",
        "values": "request, body, cookies and language: all that a handler reads from a request",
        "wrong_names_in_paths": "paths: what is said of braces that are no parameter",
    },
    "describe": {
        "schemathesis": "openapi: a server answers as its description says, whatever is asked",
    },
    "guards": {
        "attacks": "all of guards, and the responses to errors: what clients try, in one table",
        "together": "all of guards, on files too; httplint reads what they send",
    },
    "cluster": {
        "conformance": "backplane and redis: what every backplane must do",
        "logouts": "finch.sessions and all below: a logout reaches the sockets of all processes",
        "rolling": "supervisor, redis and all below: workers are replaced under load",
        "machines": "cli, redis and all below: two machines, and one that is cut off",
        "processes": "cli, redis and all below: every verb across two real processes",
        "faults": "redis and all below: Redis is restarted, paused, wiped, or cannot be reached",
    },
    "client": {
        "cuts": "all of client: numbered messages over a bad network and restarted servers",
        "herd": "keeper and backoff: many clients do not come back at the same moment",
        "vectors": "conversation: it plays the client's part of the exchanges",
        "names": "all of client: what users import",
    },
    "sockets": {
        "churn": "all of sockets: nothing is left of a thousand clients that come back, and go",
        "joining": "membership and room: what happens in a room while somebody is on the way in",
        "frozen": "client, conflation and link: who reads nothing costs little, others nothing",
        "harm": "rooms, clients and their tasks: what goes wrong for one harms nobody else",
        "lifecycle": "from upgrade to client: on_connect and on_disconnect run exactly once",
        "missed": "membership and the backplane: what a client gets that comes back",
        "beside": "client and workers: how many concurrent messages are handled side by side",
        "model": "rooms, users, histories, presence and calls: any story goes as a model says",
        "much_at_once": "link, hub and readers: bursts to a client, and from one that is not read",
        "order": "from link to workers: the messages of one client are handled in order",
        "outbox": "link: what may wait for a client",
        "quiet_clients": "link: what time does to clients that say nothing, or that nobody reads",
        "sent_by_default": "client and manager: what a message has if only its data is given",
        "turns_of_one_client": "link, client and raw: when the others have their turn",
        "what_goes_wrong": "workers and event: one client's trouble is not the others'",
    },
}

FOLDERS = sorted({name.split(".")[0] for name in MODULES if "." in name})


def modules_of(folder):
    """The names of its modules: ``routing`` for ``finch/http/routing.py``."""
    return {name.partition(".")[2] for name in MODULES if name.startswith(f"{folder}.")}


def subjects_of(folder):
    """What its test modules are named after: ``routing`` for ``test_routing.py``."""
    return {path.stem.removeprefix("test_") for path in folder.glob("test_*.py")}


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_has_a_folder_of_tests_with_the_same_name(folder):
    assert (TESTS / folder / "__init__.py").is_file()
    assert subjects_of(TESTS / folder)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_test_module_is_named_after_a_module_of_its_folder_or_is_a_story(folder):
    named_after_none = subjects_of(TESTS / folder) - modules_of(folder)
    assert named_after_none == set(STORIES.get(folder, {}))


def test_what_tests_one_folder_is_in_its_folder():
    flat = subjects_of(TESTS) - {name for name in MODULES if "." not in name}
    assert {name: folder for folder in FOLDERS for name in flat & modules_of(folder)} == {}
