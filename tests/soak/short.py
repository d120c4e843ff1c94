"""A short run of a soak, so that it cannot rot: what its tests share."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.soak.server import ROOT


def short_run(module: str, options: Sequence[str], out: Path) -> Any:
    """Run a soak with short patience until it ends; its report.

    Raises:
        AssertionError: if it fails; it has what the soak has said.
    """
    run = subprocess.Popen(
        [sys.executable, "-m", module, *options, "--out", str(out)],
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
    if run.returncode != 0:
        raise AssertionError(said)
    return json.loads((out / "report.json").read_text())
