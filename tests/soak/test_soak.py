"""Some seconds of the soak, so that it cannot rot: a hundred clients, with short patience."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.server import ROOT

_OPTIONS = (
    "--connections 100 --churn 1200 --minutes 0.04 --every 0.4 --mortals 1 --kill-every 1 "
    "--tolerance 32"
).split()


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and epoll are Linux's")
def test_some_seconds_of_the_soak(tmp_path: Path) -> None:
    run = subprocess.Popen(
        [sys.executable, "-m", "tests.soak", *_OPTIONS, "--out", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "FINCH_SOAK_HURRY": "1"},
        start_new_session=True,
    )
    try:
        said, _ = run.communicate(timeout=120)
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)  # with everybody it has started
    assert run.returncode == 0, said
    report = json.loads((tmp_path / "report.json").read_text())
    stories = report["news"]["stories"]
    assert report["holds"]
    assert report["news"]["delivered"] > 100
    assert {"open", "close", "never_read", "slow_loris", "browse"} <= set(stories)
