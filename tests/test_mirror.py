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
        "fast_path": "frames and websocket: the fast path and wsproto give the same results",
        "framing": "http and handshake: how a response is framed is decided once for both",
        "longest": "all of wire, and others who read input: nothing takes quadratic time",
        "rfc": "http, head and body: what the RFCs say, section by section",
    },
    "http": {
        "values": "request, body, cookies and language: all that a handler reads from a request",
    },
    "sockets": {
        "lifecycle": "from upgrade to client: on_connect and on_disconnect run exactly once",
        "order": "from link to workers: the messages of one client are handled in order",
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
