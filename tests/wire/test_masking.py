"""Both ways to unmask do what the RFC says, and one stands in for the other."""

import sys
import types

import hypothesis.strategies as st
import pytest
from hypothesis import given
from websockets.speedups import apply_mask

from finch.wire.masking import Mask, unmask_in_python

WAYS = pytest.mark.parametrize("unmask", [unmask_in_python, apply_mask])


@WAYS
@given(payload=st.binary(max_size=5000), key=st.binary(min_size=4, max_size=4))
def test_each_byte_is_xored_with_the_key(unmask, payload, key):
    assert unmask(payload, key) == bytes(
        byte ^ key[place % 4] for place, byte in enumerate(payload)
    )


@WAYS
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 2047, 2048, 2049, 70_000])
def test_unmasking_twice_is_nothing(unmask, size):
    payload = bytes(range(256)) * (size // 256 + 1)
    clear = unmask(payload[:size], b"abcd")
    assert type(clear) is bytes
    assert unmask(clear, b"abcd") == payload[:size]


def test_the_compiled_function_is_used_if_it_is_there():
    mask = Mask()
    assert mask.unmask is unmask_in_python
    assert mask.use_compiled()
    assert mask.unmask is apply_mask


def raises(payload, key):
    raise TypeError("it wants something else now")


@pytest.mark.parametrize(
    "there",
    [
        None,
        types.ModuleType("websockets.speedups"),
        types.SimpleNamespace(apply_mask=lambda payload, key: payload),
        types.SimpleNamespace(apply_mask=raises),
    ],
    ids=["not installed", "without it", "another function", "another signature"],
)
def test_otherwise_everything_stays_as_it_is(monkeypatch, there):
    monkeypatch.setitem(sys.modules, "websockets.speedups", there)
    mask = Mask()
    assert not mask.use_compiled()
    assert mask.unmask is unmask_in_python


class Broken(types.ModuleType):
    """A module that raises when something is taken from it."""

    def __init__(self, error):
        super().__init__("websockets.speedups")
        self._error = error

    def __getattr__(self, name):
        raise self._error


def test_a_package_that_is_broken_is_not_used(monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.speedups", Broken(LookupError("broken")))
    assert not Mask().use_compiled()


def test_files_that_cannot_be_read_now_are_told_so_that_somebody_tries_again(monkeypatch):
    monkeypatch.setitem(sys.modules, "websockets.speedups", Broken(OSError("too many open files")))
    with pytest.raises(OSError, match="too many"):
        Mask().use_compiled()
