"""The verdict finds what it is there for: each kind of trouble, put into good evidence, is seen."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.soak.server import Sample
from tests.soak.verdict import MIB, Evidence, after_warm_up, judge
from tests.soak.world import News

IDLE = Sample(
    at=0.0,
    rss=30 * MIB,
    descriptors=12,
    threads=1,
    cpu=1.0,
    tasks=17,
    tree=17,
    clients=0,
    raw=0,
    in_rooms=0,
    streams=0,
    connects=50,
    disconnects=50,
    left=50,
    answered_in=0.001,
)


def running(*rss: float, clients: int = 1000) -> list[Sample]:
    return [
        replace(IDLE, at=10.0 * number, rss=int(size * MIB), clients=clients)
        for number, size in enumerate(rss)
    ]


GOOD = Evidence(
    clients=1000,
    start=IDLE,
    running=running(*range(40, 50), *([50] * 30)),  # it grows while it is warming up
    end=replace(IDLE, connects=5000, disconnects=5000),
    news=News(delivered=100),
    complaints=Counter(),
    exit_code=0,
)


def failed(evidence: Evidence) -> list[str]:
    return [one.what for one in judge(evidence, tolerance=5.0) if not one.holds]


def test_a_good_run_has_nothing_against_it() -> None:
    assert failed(GOOD) == []


@pytest.mark.parametrize(
    ("evidence", "what"),
    [
        (replace(GOOD, running=running(*range(40, 80))), "memory is flat within 5 MiB"),
        (replace(GOOD, running=running(*[50] * 40, clients=900)), "memory is flat within 5 MiB"),
        (replace(GOOD, end=replace(GOOD.end, descriptors=13)), "descriptors are back to the start"),
        (replace(GOOD, end=replace(GOOD.end, tasks=18, tree=18)), "tasks are back to the start"),
        (replace(GOOD, end=replace(GOOD.end, tree=16)), "every task hangs in the tree"),
        (replace(GOOD, end=replace(GOOD.end, threads=2)), "threads are back to the start"),
        (
            replace(GOOD, end=replace(GOOD.end, disconnects=4999)),
            "on_disconnect ran once for every on_connect",
        ),
        (replace(GOOD, end=replace(GOOD.end, in_rooms=1)), "nobody is left in the server"),
        (replace(GOOD, news=News(lost=1)), "no message is lost between live clients"),
        (
            replace(GOOD, news=News(lost_at_goodbye=1)),
            "no last message before a goodbye is lost",
        ),
        (replace(GOOD, news=News(duplicated=1)), "no message is duplicated"),
        (replace(GOOD, news=News(reordered=1)), "no message is reordered"),
        (replace(GOOD, news=News(wrong=Counter(oops=1))), "nothing else went wrong"),
        (replace(GOOD, complaints=Counter(bug=1)), "the log holds no bug and no complaint"),
        (replace(GOOD, exit_code=-9), "SIGTERM ends it well"),
    ],
)
def test_each_trouble_is_found(evidence: Evidence, what: str) -> None:
    assert failed(evidence) == [what]


def test_samples_count_after_the_first_quarter_and_with_all_clients_there() -> None:
    samples = running(*[50] * 8)
    samples[5] = replace(samples[5], clients=800)
    assert after_warm_up(samples, 1000) == [samples[n] for n in (2, 3, 4, 6, 7)]
