"""Fuzz for long: ``python -m tests.fuzz [target ...] --seconds 600``, or ``make fuzz``.

With atheris installed the coverage of Finch, h11 and wsproto guides it (``guided``); without, every
input is made anew. A failing input is made small, written below ``findings``, and ends its target's
turn; the exit code is 1 then.
"""

import argparse
import importlib.util
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.fuzz.targets import FINDINGS, FOLDER, TARGETS, Target, failure, keep, shrunk

_REPORT: Final = 10.0  # seconds between two lines of progress
_ROOT: Final = FOLDER.parent.parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its exit code."""
    options = _options(arguments)
    if options.replay:
        return max([replay(path) for path in options.replay])
    guided = importlib.util.find_spec("atheris") is not None and not options.unguided
    if not guided and not options.unguided:
        print("atheris is not installed: nothing guides the fuzzing. pip install '.[fuzz]'")
    found = []
    for name in options.target or TARGETS:
        target = TARGETS[name]
        print(f"{name}: {options.seconds:g} s", flush=True)
        data = (
            by_coverage(target, options.seconds, options.seed)
            if guided
            else by_chance(target, options.seconds, options.seed)
        )
        if data is not None:
            report(target, data)
            found.append(name)
    print(f"failed: {', '.join(found)}" if found else "nothing found")
    return 1 if found else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help=f"of {', '.join(TARGETS)}; else all")
    parser.add_argument("--seconds", type=float, default=600, help="for each target (%(default)s)")
    parser.add_argument("--seed", type=int, help="of chance; else the time")
    parser.add_argument("--unguided", action="store_true", help="without atheris")
    parser.add_argument("--replay", nargs="+", type=Path, metavar="FILE", help="inputs that failed")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.target if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    return options


def by_chance(target: Target, seconds: float, seed: int | None = None) -> bytes | None:
    """Try inputs made by chance; the first that fails, or None."""
    seed = time.time_ns() if seed is None else seed
    print(f"  seed {seed}")
    random = Random(seed)
    begun = last = time.monotonic()
    tried = 0
    while (now := time.monotonic()) < begun + seconds:
        data = target.an_input(random)
        tried += 1
        if failure(target, data) is not None:
            return data
        if now >= last + _REPORT:
            last = now
            print(f"  {tried} inputs, {tried / (now - begun):.0f}/s", flush=True)
    print(f"  {tried} inputs, {tried / seconds:.0f}/s")
    return None


def by_coverage(target: Target, seconds: float, seed: int | None = None) -> bytes | None:
    """Have atheris look for inputs that reach new code; the first that fails, or None."""
    folder = FINDINGS / target.name
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.guided", target.name, str(seconds), str(seed or 0)],
        cwd=_ROOT,
        check=False,
    )
    if done.returncode == 0:
        return None
    artifacts = sorted(
        (path for path in folder.iterdir() if path.suffix != ".bin"),
        key=lambda path: path.stat().st_mtime,
    )
    if not artifacts:
        raise SystemExit(f"{target.name}: atheris ended with {done.returncode} and no input")
    data = artifacts[-1].read_bytes()
    artifacts[-1].unlink()
    return data


def report(target: Target, data: bytes) -> None:
    """Make a failing input small, keep it, and say how to see the failure again."""
    path = keep(target, shrunk(target, data))
    shown = path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path
    print(f"  FAILED, and again by: python -m tests.fuzz --replay {shown}")
    print(f"  once it is mended: mv {shown} tests/fuzz/regressions/{target.name}/WHAT-IT-WAS.bin")
    replay(path)


def replay(path: Path) -> int:
    """Try one kept input, and show what comes of it; 1 where it fails."""
    data = path.read_bytes()
    error = failure(TARGETS[path.resolve().parent.name], data)
    print(f"{path}: {len(data)} bytes: {data[:200]!r}")
    if error is None:
        print("  as it should be")
        return 0
    traceback.print_exception(error, file=sys.stdout)
    return 1


if __name__ == "__main__":
    sys.exit(main())
