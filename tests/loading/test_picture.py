"""The picture of a run is SVG, whatever was measured."""

from xml.etree import ElementTree

import pytest

from finch.loading.picture import picture
from finch.loading.plan import Tally


@pytest.mark.parametrize("latencies", [[], [0.001], [0.00001, 0.1, 5.0], [0.0]])
def test_it_is_well_formed_and_shows_both(latencies):
    tally = Tally()
    for at, latency in enumerate(latencies):
        tally.note(latency)
        tally.answers += 1
        tally.end_second(at + 1.0)
    text = picture(tally.latency.curve(), tally.series, "<50> clients & more")
    root = ElementTree.fromstring(text)
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<50> clients & more" in words
    assert {"p50", "p99", "longest"} <= set(words)
    assert "nan" not in text
