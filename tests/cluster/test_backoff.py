"""How long a place stays empty after a worker that died."""

from finch.cluster.backoff import Backoff


def test_the_pauses_grow_up_to_a_bound():
    backoff = Backoff()
    pauses = [backoff.after(0.0) for _ in range(2000)]
    assert pauses[:8] == [0, 0.5, 1, 2, 4, 8, 8, 8]
    assert max(pauses) == 8


def test_a_worker_that_ran_steadily_is_replaced_at_once():
    backoff = Backoff()
    assert [backoff.after(ran) for ran in (0, 1, 9.9, 10, 0, 3600)] == [0, 0.5, 1, 0, 0.5, 0]
