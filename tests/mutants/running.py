"""Runs tests in a fork of this process: which lines do they reach, what do they say of a mutant?

A fork has pytest, trio and hypothesis imported already, but nothing of Finch: it imports Finch with
the mutant in it. So a mutant takes a second, and whatever it breaks is gone with its process.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import h11  # noqa: F401  # what Finch and the tests import, so that each fork has it
import httpx  # noqa: F401
import hypothesis
import msgspec  # noqa: F401
import pytest
import trio.testing  # noqa: F401
import trustme  # noqa: F401
import wsproto  # noqa: F401

KILLED, SURVIVED, TOO_LONG, UNREACHED = "killed", "survived", "too long", "unreached"
_TOO_LONG = 99  # the exit code of a fork whose test takes too long
_OPTIONS = [
    *("-q", "-p", "no:cacheprovider", "--tb=no"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # hypothesis is imported already
]

# The same inputs each time, and a failure is not made small: that it fails is enough.
hypothesis.settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)


def in_fork(work):
    """The exit code of a process that does the work, with its output thrown away."""
    scratch = tempfile.mkdtemp(prefix="finch-mutants-")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            if "FINCH_MUTANTS_SHOW" not in os.environ:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 1)
                os.dup2(nowhere, 2)
            hypothesis.settings.load_profile("mutants")
            code = int(work(f"--basetemp={scratch}/pytest"))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


# Which tests reach which lines


class _Reached:
    """Notes for each test whether it passes, how long it takes and which lines it reaches."""

    def __init__(self, coverage):
        self.coverage = coverage
        self.seconds = {}
        self.failed = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.coverage.switch_context(item.nodeid)
        begun = time.perf_counter()
        try:
            return (yield)
        finally:
            self.seconds[item.nodeid] = time.perf_counter() - begun
            self.coverage.switch_context("")

    def pytest_runtest_logreport(self, report):
        if not report.passed:
            self.failed.add(report.nodeid)


def reached(file):
    """The tests of a file that pass: ``{test: [seconds, {module: lines}]}``. Under the name ``""``
    are the lines that are reached by importing alone."""
    with tempfile.TemporaryDirectory(prefix="finch-mutants-") as folder:
        answer = Path(folder, "answer.json")

        def work(basetemp):
            import coverage

            measured = coverage.Coverage(source=["finch"], data_file=None, config_file=False)
            plugin = _Reached(measured)
            measured.start()
            pytest.main([*_OPTIONS, basetemp, file], plugins=[plugin])
            measured.stop()
            data = measured.get_data()
            found = {"": [0.0, {}]} | {
                test: [seconds, {}]
                for test, seconds in plugin.seconds.items()
                if test not in plugin.failed
            }
            for path in data.measured_files():
                module = os.path.relpath(path)
                for line, tests in data.contexts_by_lineno(path).items():
                    for test in tests:
                        if test in found:
                            found[test][1].setdefault(module, []).append(line)
            answer.write_text(json.dumps(found))
            return 0

        in_fork(work)
        return json.loads(answer.read_text()) if answer.exists() else {}


# What the tests say of a mutant


class _Mutated(importlib.abc.MetaPathFinder):
    """Imports one module from another text."""

    def __init__(self, path, source):
        self._name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        self._path = os.path.abspath(path)
        self._source = source

    def find_spec(self, fullname, path, target=None):
        if fullname != self._name:
            return None
        source = self._source

        class Loader(importlib.machinery.SourceFileLoader):
            def get_code(self, fullname):
                return compile(source, self.path, "exec", dont_inherit=True)

        return importlib.util.spec_from_file_location(
            fullname, self._path, loader=Loader(fullname, self._path)
        )


class _Chosen:
    """Runs only some tests, in the order of their names here, and gives each of them its time."""

    def __init__(self, seconds, patience, spare):
        self.seconds = seconds
        self.patience = patience
        self.spare = spare

    def pytest_collection_modifyitems(self, items):
        by_name = {item.nodeid: item for item in items}
        items[:] = [by_name[name] for name in self.seconds if name in by_name]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        signal.setitimer(signal.ITIMER_REAL, self.seconds[item.nodeid] * self.patience + self.spare)
        return (yield)


def verdict(mutant, seconds, settings):
    """What these tests, each with the seconds that it takes, say of a mutant."""
    if not seconds:
        return UNREACHED
    return _judged(mutant.module, mutant.source, seconds, settings)


def all_is_well(module, seconds, settings):
    """Whether these tests pass if nothing is changed, as they must before a mutant is judged."""
    return _judged(module, Path(module).read_text(), seconds, settings) == SURVIVED


def _judged(module, source, seconds, settings):
    files = sorted({test.partition("::")[0] for test in seconds})

    def work(basetemp):
        resource.setrlimit(resource.RLIMIT_AS, (settings["memory"], settings["memory"]))
        signal.signal(signal.SIGALRM, lambda *_: os._exit(_TOO_LONG))
        signal.setitimer(signal.ITIMER_REAL, 60)  # for a mutant that hangs in an import
        sys.meta_path.insert(0, _Mutated(module, source))
        chosen = _Chosen(seconds, settings["patience"], settings["spare"])
        return pytest.main([*_OPTIONS, "-x", basetemp, *files], plugins=[chosen])

    code = in_fork(work)
    if code == _TOO_LONG:
        return TOO_LONG
    return SURVIVED if code == 0 else KILLED
