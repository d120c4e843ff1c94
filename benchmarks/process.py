"""What a process costs as the kernel counts it: CPU, memory; and its limits."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
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


def pin(core: int) -> None:
    """Bind this process to one core, whatever core its parent was bound to."""
    with suppress(OSError):  # a core that it may not use
        os.sched_setaffinity(0, {core})


def cores() -> tuple[int, int]:
    """A core for the server and one for the load; the same where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 % len(allowed)]
