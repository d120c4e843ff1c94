"""Servers in processes of their own, started as a user starts them."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"
# No bytecode of modules that a test writes: Python takes what is there if a file has the same size
# and the same second as before, so a test that writes one twice would run the first.
_ENVIRONMENT = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


class Process:
    """A running ``python -m finch``: where it serves, and what it printed at the start."""

    def __init__(self, popen, banner):
        self.popen = popen
        self.banner = banner
        found = re.search(r"(?:serves|serving) (\S+)", banner)
        self.url = found and found[1]
        self.ws = found and found[1].replace("http", "ws", 1)

    def wait_for(self, beginning):
        """The next line with this in it."""
        for line in self.popen.stdout or self.popen.stderr:
            if beginning in line:
                return line
        raise AssertionError(f"it never said {beginning!r}")

    def signal(self, number=signal.SIGTERM):
        self.popen.send_signal(number)

    def wait(self):
        """Exit code and what it printed afterwards."""
        out, complaints = self.popen.communicate(timeout=30)
        return self.popen.returncode, complaints if out is None else out


@contextmanager
def finch(
    *arguments,
    cwd=EXAMPLES,
    fd3=None,
    stdout=None,
    says="Stop it",
    program=("-m", "finch"),
    through=(),
    process_group=None,
    **environment,
):
    """Run ``python -m finch`` until the end of the block.

    ``fd3`` is the socket that it inherits, as systemd passes it on; ``stdout`` a file that it has
    instead of the pipe from which it is read (then stderr is read); ``says`` what it prints at the
    latest when it has begun; ``program`` what Python runs; ``through`` the command that runs
    Python, if another one does; ``process_group`` 0 for a group of its own, with its children.
    """
    command = [*through, sys.executable, *program, *map(str, arguments)]
    if fd3 is not None:
        move = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
        command = [sys.executable, "-c", move, str(fd3.fileno()), *command]
    popen = subprocess.Popen(
        command,
        cwd=cwd,
        pass_fds=() if fd3 is None else (fd3.fileno(),),
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
        text=True,
        process_group=process_group,
        env={**os.environ, **_ENVIRONMENT, **environment},
    )
    lines = []
    try:
        for line in popen.stdout or popen.stderr:
            lines.append(line)
            if says in line:
                break
        else:
            raise AssertionError(f"it did not start: {''.join(lines)}")
        yield Process(popen, "".join(lines))
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.communicate()


def run_finch(*arguments, cwd=EXAMPLES):
    """Run ``python -m finch`` where it is to fail: exit code, what it printed, its complaints."""
    done = subprocess.run(
        [sys.executable, "-m", "finch", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, **_ENVIRONMENT},
    )
    return done.returncode, done.stdout, done.stderr
