"""What the browser tests of the gallery share: the gallery, and one Chromium for each module."""

import pytest

from tests.e2e.browsing import chromium
from tests.processes import finch


@pytest.fixture(scope="module")
def gallery():
    with finch("examples", "--port", 0) as process:
        yield process


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver
