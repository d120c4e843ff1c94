"""What is held against the server: samples and news in, a list of findings out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tests.soak.app import LIMITS
from tests.soak.server import Sample
from tests.soak.world import News

MIB = 1024 * 1024


@dataclass(frozen=True)
class Finding:
    """One thing that had to hold, and whether it did."""

    what: str
    holds: bool
    figures: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.holds else 'FAIL'}  {self.what}: {self.figures}"


@dataclass(frozen=True)
class Evidence:
    """What a run has brought.

    Attributes:
        clients: how many were to be held.
        start: the server after a first few clients had come and gone.
        running: samples while all clients were there, from the moment when they were.
        end: the server when everybody had left and all had settled.
        news: what all worlds saw, together.
        complaints: of the server's log.
        exit_code: of the server.
    """

    clients: int
    start: Sample
    running: Sequence[Sample]
    end: Sample
    news: News
    complaints: Counter[str]
    exit_code: int


def after_warm_up(samples: Sequence[Sample], clients: int) -> list[Sample]:
    """The samples that count: after the first quarter, with about the same number of clients.

    Where a world was killed and its clients were not back yet, there is less to remember.
    """
    later = samples[len(samples) // 4 :]
    return [sample for sample in later if abs(sample.held - clients) <= clients * 0.02]


def growth(samples: Sequence[Sample]) -> tuple[float, float, float]:
    """Resident memory at the beginning and at the end in MiB, and the slope in MiB an hour.

    Beginning and end are medians of a fifth of the samples each, since a single one is at the mercy
    of what happens at that moment. The slope is that of the line of least squares.
    """
    share = max(1, len(samples) // 5)
    first = median(sample.rss for sample in samples[:share]) / MIB
    last = median(sample.rss for sample in samples[-share:]) / MIB
    mean_at = sum(sample.at for sample in samples) / len(samples)
    mean_rss = sum(sample.rss for sample in samples) / len(samples)
    spread = sum((sample.at - mean_at) ** 2 for sample in samples)
    slope = (
        sum((sample.at - mean_at) * (sample.rss - mean_rss) for sample in samples) / spread
        if spread
        else 0.0
    )
    return first, last, slope * 3600 / MIB


def judge(evidence: Evidence, *, tolerance: float) -> list[Finding]:
    """Everything that must hold.

    Parameters:
        tolerance: MiB that resident memory may grow between the end of the warm-up and the end.
    """
    start, end, news = evidence.start, evidence.end, evidence.news
    findings = [_judge_memory(evidence, tolerance)]

    def same(what: str, before: int, after: int) -> None:
        findings.append(Finding(what, before == after, f"{before} at the start, {after} after"))

    def none(what: str, number: int, of: str) -> None:
        findings.append(Finding(what, number == 0, f"{number} of {of}"))

    same("descriptors are back to the start", start.descriptors, end.descriptors)
    same("tasks are back to the start", start.tasks, end.tasks)
    same("every task hangs in the tree", end.tree, end.tasks)
    same("threads are back to the start", start.threads, end.threads)
    same("on_disconnect ran once for every on_connect", end.connects, end.disconnects)
    remaining = end.held + end.in_rooms + end.streams
    none("nobody is left in the server", remaining, f"{end.connects:,} that came")
    delivered = f"{news.delivered:,} delivered"
    none("no message is lost between live clients", news.lost, delivered)
    findings.append(_judge_goodbyes(news))
    none("no message is duplicated", news.duplicated, delivered)
    none("no message is reordered", news.reordered, delivered)
    stories = f"{sum(news.stories.values()):,} stories of clients"
    none("nothing else went wrong", sum(news.wrong.values()), stories)
    complaints = sum(evidence.complaints.values())
    findings.append(
        Finding("the log holds no bug and no complaint", not complaints, f"{complaints} entries")
    )
    code = evidence.exit_code
    findings.append(Finding("SIGTERM ends it well", code == 0, f"exit code {code}"))
    return findings


def _judge_memory(evidence: Evidence, tolerance: float) -> Finding:
    what = f"memory is flat within {tolerance:g} MiB"
    samples = after_warm_up(evidence.running, evidence.clients)
    if len(samples) < 2:
        return Finding(what, False, "too few samples with all clients connected")
    first, last, slope = growth(samples)
    return Finding(
        what,
        last - first <= tolerance,
        f"{first:.1f} MiB after the warm-up, {last:.1f} at the end ({slope:+.1f} MiB an hour, "
        f"{len(samples)} samples)",
    )


def _judge_goodbyes(news: News) -> Finding:
    """Messages of those who left in good order: handled for ``Limits.leave_grace``, and no longer.

    Where the machine stood still for longer than that, they may be lost.
    """
    stalled = news.slowest > LIMITS.leave_grace
    return Finding(
        "no last message before a goodbye is lost",
        stalled or not news.lost_at_goodbye,
        f"{news.lost_at_goodbye} of {news.delivered:,} delivered"
        + (f", but the machine stood still for {news.slowest:.1f} s" if stalled else ""),
    )


def gather(all_news: Sequence[News]) -> News:
    """The news of several worlds as one."""
    total = News()
    for news in all_news:
        for name in ("held", "connects", "leaves", "sent", "delivered", "echoes", "pongs", "lost"):
            setattr(total, name, getattr(total, name) + getattr(news, name))
        for name in ("lost_at_goodbye", "duplicated", "reordered", "outstanding"):
            setattr(total, name, getattr(total, name) + getattr(news, name))
        total.slowest = max(total.slowest, news.slowest)
        total.stories += news.stories
        total.wrong += news.wrong
        for who, (least, most) in news.patience.items():
            before = total.patience.get(who, (least, most))
            total.patience[who] = min(least, before[0]), max(most, before[1])
    return total
