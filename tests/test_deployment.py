"""The examples of docs/deployment.md and docs/cluster.md for systemd, Kubernetes and Prometheus."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from finch import Limits
from finch.commands.serve import new_parser
from tests.conftest import need
from tests.pages import blocks, read

PYTHON = "/srv/chat/.venv/bin/python"


def examples(page, language):
    return blocks(read(f"docs/{page}.md"), language)


@pytest.fixture(params=["as it is", "with workers"])
def units(request, tmp_path):
    """The files of systemd's units, also with the lines for several workers."""
    paths = []
    *whole, changes = examples("deployment", "ini")
    for text in whole:
        path = Path(re.match(r"# (\S+)\n", text)[1])
        unit = text
        if path.suffix == ".service" and request.param == "with workers":
            unit = re.sub(r"^(ExecStart|TimeoutStopSec)=.*\n", "", text, flags=re.MULTILINE)
            unit = unit.replace("[Service]\n", changes)
        paths.append(tmp_path / path.name)
        paths[-1].write_text(unit.replace(PYTHON, sys.executable))
    return paths


def test_systemd_understands_the_units(units):
    verify = need("systemd-analyze", "apt-get install systemd")
    done = subprocess.run([verify, "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_finch_understands_the_commands_of_the_units(units):
    for unit in units:
        for words in re.findall(r"^ExecStart=\S+ -m finch (.*)", unit.read_text(), re.MULTILINE):
            assert new_parser().parse_args(words.split()).fd == 3


def test_a_pod_is_probed_where_it_serves_and_has_time_to_end():
    [spec] = [yaml.safe_load(example)["spec"] for example in examples("deployment", "yaml")]
    [container] = spec["containers"]
    *python, app = container["command"][:4]
    assert (python, app) == (["python", "-m", "finch"], "app:app")
    options = new_parser().parse_args(container["command"][3:])
    probes = {name: container[name]["httpGet"] for name in container if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",  # a restart would not bring Redis back
    }
    assert {probe["port"] for probe in probes.values()} == {options.port}
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > waits + 2 * Limits().shutdown_timeout + 5


def test_prometheus_is_told_where_to_ask_and_what_to_show():
    [[job]] = [yaml.safe_load(one)["scrape_configs"] for one in examples("cluster", "yaml")]
    assert set(job) == {"job_name", "authorization", "static_configs"}
    assert job["authorization"]["type"] == "Bearer"
    assert all(":" in target for one in job["static_configs"] for target in one["targets"])
