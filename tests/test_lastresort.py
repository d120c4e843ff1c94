"""A process that only serves ends, even if the application keeps its server from ending."""

import httpx

from finch import Limits
from finch.lastresort import LastResort, times_to_end
from tests.processes import finch

APP = """
import trio
from finch import FinchApp, Limits

app = FinchApp(limits=Limits(shutdown_timeout=0.1, leave_grace=0.1))

@app.get("/")
async def stream(request):
    try:
        yield "it begins"
        await trio.sleep_forever()
    finally:
        with trio.CancelScope(shield=True):
            await trio.sleep(1000)
"""


def test_a_stream_that_shields_itself_does_not_keep_the_process(tmp_path):
    (tmp_path / "app.py").write_text(APP)

    with finch("app", "--port", 0, cwd=tmp_path) as process:
        with httpx.stream("GET", process.url) as response:
            assert next(response.iter_text()) == "it begins"
            process.signal()
            code, out = process.wait()

    assert code == 1
    assert "the server has not ended within 5.2 s" in out


def test_a_server_that_ends_is_left_alone():
    resort = LastResort(Limits())

    with resort:
        assert LastResort.current is resort
        resort.count_down(in_a_hurry=False)
        resort.count_down(in_a_hurry=True)
        timer = resort._timer

    assert LastResort.current is None
    timer.join(5)  # it was cancelled; else it would end this process
    assert not timer.is_alive()


def test_without_a_limit_it_may_take_any_time():
    limits = Limits(shutdown_timeout=float("inf"))

    assert times_to_end(limits) == (None, 2.0)
    with LastResort(limits) as _:
        LastResort.current.count_down(in_a_hurry=False)
        assert LastResort.current._timer is None
