"""The live attack, small: a server survives it; and one that did not would be noticed."""

from collections import Counter

import pytest

from tests.fuzz.live import Report, judge, run


@pytest.mark.parametrize(
    ("door", "count"), [("hub", 400), ("task", 200), ("tls", 200), ("unix", 200)]
)
def test_a_server_survives_an_attack(door, count):
    report = run(count, door)
    assert report.complaints == []
    # most inputs are answered, so that the attack reaches something
    http, websocket = report.outcomes["HTTP"], report.outcomes["WebSocket"]
    assert http["200"] > count / 10
    assert http["400"] > count / 10
    assert websocket["101"] > count / 4
    # generous, for a machine that is busy with something else
    assert max(report.attacked["HTTP"] + report.attacked["WebSocket"]) < 5000
    assert "all is well" in str(report)


class EndedServer:
    """A server that did not survive, as ``judge`` meets it."""

    returncode = 1

    def __init__(self, log):
        self.popen = self
        self.log = log

    def poll(self):
        return self.returncode


def test_what_is_wrong_is_said(tmp_path):
    log = tmp_path / "log"
    log.write_text("Finch serves http://127.0.0.1:1\nERROR: a bug in Finch: a link failed\n")
    outcomes = {"HTTP": Counter({"200": 6, "never closed": 2, "nonsense": 1})}
    report = Report(10, outcomes=outcomes, descriptors=(13, 14))
    judge(report, EndedServer(log))
    assert report.complaints == [
        "only 9 HTTP inputs were sent",
        "2 HTTP connections were never closed",
        "1 answers to HTTP inputs cannot be read",
        "13 descriptors became 14",
        "the server ended with 1",
        "the server's log: ERROR: a bug in Finch: a link failed",
    ]
    assert "FAILED: 13 descriptors became 14" in str(report)
