"""What a process costs as the kernel counts it: CPU, memory; and its limits."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and its children have used; 0 where it is gone."""
    return sum(_cpu_ticks(one) for one in _family(pid)) / _TICK


def _cpu_ticks(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def machine_seconds() -> float:
    """User and system time that all programs of the machine have used, and what a hypervisor has
    given to others."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(fields[place]) for place in (1, 2, 3, 8)) / _TICK


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its children; 0 where it is gone."""
    return sum(_resident(one) for one in _family(pid))


def _resident(pid: int) -> int:
    for name, key in (("smaps_rollup", "Rss:"), ("status", "VmRSS:")):
        try:
            lines = Path(f"/proc/{pid}/{name}").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    return 0


def _family(pid: int) -> list[int]:
    family = [pid]
    for one in family:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                family += map(int, children.read_text().split())
            except OSError:
                continue
    return family


def raise_file_limit(wanted: int) -> int:
    """Allow this process and its children ``wanted`` descriptors; how many it has then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return soft
    for new_hard in (max(hard, wanted), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, new_hard), new_hard))
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def pin(*cores: int) -> None:
    """Bind this process to one core or several, whatever core its parent was bound to."""
    with suppress(OSError):  # a core that it may not use
        os.sched_setaffinity(0, cores)


def never_interrupt() -> None:
    """Let this process wait until a server that runs on its core has no more to do, or has had its
    time; its children run as usual.

    Otherwise, each message that a server sends may wake the load, which then takes the core. If
    there are fewer cores than processes, that slows a server down to half of its speed. Other
    programs are not interrupted either: if there are any, the load itself is late.
    """
    if sys.platform == "linux":
        policy = os.SCHED_BATCH | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(0))


@contextmanager
def before_others(pids: Iterable[int]) -> Iterator[None]:
    """Let processes go before others of the machine.

    It is not real-time scheduling: of that, Linux gives 50 ms of each second to the others, at
    once, and that is what the 99th percentile would show.

    Raises:
        PermissionError: if this process is not allowed to do that.
    """
    changed = []
    try:
        for pid in pids:
            changed.append(pid)
            _be_nice(pid, -20)
        yield
    finally:
        for pid in changed:
            with suppress(PermissionError):
                _be_nice(pid, 0)


def _be_nice(pid: int, value: int) -> None:
    with suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, pid, value)
    with suppress(FileNotFoundError, ProcessLookupError):  # Linux can treat each session as one
        Path(f"/proc/{pid}/autogroup").write_text(str(value))


def cores() -> tuple[int, int]:
    """A core for the server and one for the load; the same where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 % len(allowed)]
