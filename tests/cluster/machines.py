"""Machines of the tests: network namespaces with a cable to this one, or only processes here.

A namespace needs root, or the rights to make one. Where that is not allowed, a machine is a process
on a port of its own, and a cable that is cut is a process that is stopped.
"""

import itertools
import os
import signal
import subprocess
from contextlib import ExitStack, contextmanager

from tests.pages import ROOT
from tests.processes import finch

_numbers = itertools.count(1)


class Machine:
    """What is common to both: an application that runs on it.

    ``here`` is where it reaches this machine, and ``host`` where it serves.
    """

    here = host = "127.0.0.1"
    through = ()
    process = None

    @contextmanager
    def serves(self, port, prefix, lease):
        """Run the application of the stories, with a Redis on a port of this machine."""
        url = f"redis://{self.here}:{port}/0?prefix={prefix}"
        serve = ("tests.cluster.served:app", "--host", self.host, "--port", 0)
        times = {"LEASE": str(lease), "BACKPLANE": url}
        with finch(*serve, cwd=ROOT, through=self.through, **times) as self.process:
            yield self.process

    def cut(self):
        """Nobody reaches it any longer."""
        self.process.signal(signal.SIGSTOP)

    def mend(self):
        """It is reached again."""
        self.process.signal(signal.SIGCONT)


class Namespace(Machine):
    """A network namespace, with a cable to this one."""

    def __init__(self):
        number, pid = next(_numbers), os.getpid()  # other tests may run beside
        self.name = f"finch{pid}n{number}"
        self.cable = f"fn{pid % 10**7}n{number}"
        net = f"10.{pid % 200 + 20}.{(pid // 200 * 8 + number) % 256}"
        self.here, self.host = f"{net}.1", f"{net}.2"
        self.through = ("ip", "netns", "exec", self.name)

    def make(self, stack):
        ip("netns", "add", self.name)
        stack.callback(ip, "netns", "del", self.name)
        ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        stack.callback(ip, "link", "del", self.cable)
        ip("addr", "add", f"{self.here}/24", "dev", self.cable)
        ip("link", "set", self.cable, "up")
        ip("-n", self.name, "addr", "add", f"{self.host}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def cut(self):
        ip("-n", self.name, "link", "set", "eth0", "down")

    def mend(self):
        ip("-n", self.name, "link", "set", "eth0", "up")


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def machines(count):
    """So many machines: namespaces, if they can be made."""
    with ExitStack() as stack:
        made = [Namespace() for _ in range(count)]
        try:
            for machine in made:
                machine.make(stack)
        except (OSError, subprocess.CalledProcessError):
            made = [Machine() for _ in range(count)]
        yield made
