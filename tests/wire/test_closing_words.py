"""The codes and reasons that an application may close with."""

import pytest

from finch.wire.websocket import check_close, check_close_code


@pytest.mark.parametrize(
    "code",
    [1000, 1001, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3001, 4000, 4998, 4999],
)
def test_these_codes_may_be_sent(code):
    check_close_code(code)
    check_close(code, "why")


@pytest.mark.parametrize(
    "code",
    [-1, 0, 1, 999, 1002, 1004, 1005, 1006, 1010, 1015, 1016, 2000, 2999, 5000, 65536],
)
def test_these_codes_may_not(code):
    with pytest.raises(ValueError, match=f"^{code} is not a code to close with"):
        check_close_code(code)
    with pytest.raises(ValueError, match=f"^{code} is not a code to close with"):
        check_close(code, "why")


@pytest.mark.parametrize("code", [True, 1000.0, "1000", None])
def test_a_code_is_an_int(code):
    with pytest.raises(TypeError, match="a close code is an int, not"):
        check_close(code, "why")


@pytest.mark.parametrize("reason", ["", "x" * 123, "ü" * 61 + "x", "\N{BIRD}" * 30])
def test_a_reason_may_fill_the_frame(reason):
    check_close(1000, reason)


@pytest.mark.parametrize(("reason", "size"), [("x" * 124, 124), ("ü" * 62, 124), ("é" * 99, 198)])
def test_a_longer_reason_is_told_its_size_in_bytes(reason, size):
    with pytest.raises(ValueError, match=f"takes {size} bytes as UTF-8"):
        check_close(1000, reason)


@pytest.mark.parametrize("reason", [b"why", None, 1000])
def test_a_reason_is_text(reason):
    with pytest.raises(TypeError, match=f"a close reason is text, not {type(reason).__name__}"):
        check_close(1000, reason)


def test_a_reason_that_utf_8_cannot_write_is_refused():
    with pytest.raises(ValueError, match="the close reason has"):
        check_close(1000, "\ud800")
