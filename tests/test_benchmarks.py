"""The benchmarks measure what they say: each on its core, against a server that answers."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks import compare, floods, process


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_a_server_gets_its_own_core_though_the_load_is_bound_to_another():
    server, load = process.cores()
    code = (
        "import os; from benchmarks.process import pin\n"
        f"pin({load}); pin({server}); print(os.sched_getaffinity(0))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str({server})


def test_compare_writes_figures_table_and_chart(tmp_path):
    code = f"from benchmarks.compare import main; main({_arguments(tmp_path)!r})"
    # in a process of its own, since it binds itself to a core
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "| raw echo, 1 conns, msg/s |" in run.stdout
    assert (tmp_path / "results.svg").read_text().startswith("<svg")
    assert json.loads((tmp_path / "results.json").read_text())


def test_an_unknown_workload_is_named(capsys):
    with pytest.raises(SystemExit):
        compare.main(["--only", "finch", "--workloads", "juggling"])
    assert "juggling" in capsys.readouterr().err


def _arguments(folder):
    return [
        *("--only", "finch", "--workloads", "raw-1,handshakes,http-hello"),
        *("--rounds", "1", "--seconds", "0.4", "--out", str(folder)),
    ]


def test_floods_print_what_the_others_notice():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.floods", "--seconds", "0.1", "--only", "pings"],
        capture_output=True,
        text=True,
        check=False,  # how late they are is the machine's business
    )
    rows = [line.split("|")[1].strip() for line in run.stderr.splitlines() if line.startswith("|")]
    assert rows == ["ms", "---", "at rest", "pings"], run.stderr


def test_an_unknown_flood_is_named(capsys):
    assert floods.main(["--only", "honey"]) == 2
    assert "honey" in capsys.readouterr().err
