"""Some seconds of the soak, so that it cannot rot: a hundred clients, with short patience."""

import sys
from pathlib import Path

import pytest

from tests.soak.short import short_run

_OPTIONS = (
    "--connections 100 --churn 1200 --minutes 0.04 --every 0.4 --mortals 1 --kill-every 1 "
    "--tolerance 32"
).split()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and epoll are Linux's")
def test_some_seconds_of_the_soak(tmp_path: Path) -> None:
    report = short_run("tests.soak", _OPTIONS, tmp_path)
    stories = report["news"]["stories"]
    assert report["holds"]
    assert report["news"]["delivered"] > 100
    assert {"open", "close", "never_read", "slow_loris", "browse"} <= set(stories)
