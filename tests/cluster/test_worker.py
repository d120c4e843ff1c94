"""A worker as its supervisor sees it."""

import pytest

from finch.cluster.worker import how_it_ended


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-9, "was killed by SIGKILL"),
        (-11, "was killed by SIGSEGV"),
        (-45, "was killed by signal 45"),
    ],
)
def test_an_end_is_told_in_words(code, says):
    assert how_it_ended(code) == says
