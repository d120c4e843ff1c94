"""The mask of a client's frames: takes it off, in Python or with a compiled function.

Every byte that a client sends is masked, so a large message costs mostly this. The compiled
function of the package ``websockets`` takes a twentieth of the time. It is used if that package is
installed (``finch-trio[speed]``); without it, everything works in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

# For shorter payloads, one XOR of two large integers is the fastest way to unmask in Python. For
# longer ones, four passes of bytes.translate are faster.
_TRANSLATE_FROM: Final = 2048

_to_int: Final = int.from_bytes  # looked up only once: a method of a type is slow to look up


def unmask_in_python(payload: bytes, key: bytes) -> bytes:
    """A client's payload without its mask (RFC 6455, section 5.3).

    Parameters:
        payload: the masked payload.
        key: the mask, four bytes.
    """
    length = len(payload)
    if length < _TRANSLATE_FROM:
        mask = (key * (length // 4 + 1))[:length]
        clear = _to_int(payload, "little") ^ _to_int(mask, "little")
        return clear.to_bytes(length, "little")
    data = bytearray(payload)
    for offset in range(4):
        data[offset::4] = data[offset::4].translate(_xor_table(key[offset]))
    return bytes(data)


@lru_cache(maxsize=256)
def _xor_table(key: int) -> bytes:
    return bytes(key ^ byte for byte in range(256))


class Mask:
    """Takes masks off, with the fastest function that is there.

    Attributes:
        unmask: as :func:`unmask_in_python`.
    """

    __slots__ = ("unmask",)

    def __init__(self) -> None:
        self.unmask: Callable[[bytes, bytes], bytes] = unmask_in_python

    def use_compiled(self) -> bool:
        """Use the compiled function from now on, if it is there.

        Returns:
            Whether it is used.

        Raises:
            OSError: if its files cannot be read now.
        """
        try:
            from websockets.speedups import apply_mask
        except OSError:
            raise
        except Exception:
            return False  # not installed, without its compiled part, or broken
        # This module of websockets is not in its documentation, so a release may change it.
        payload, key = bytes(range(21)), b"\x01\x80\xff\x55"
        try:
            same = apply_mask(payload, key) == unmask_in_python(payload, key)
        except Exception:
            return False
        if same:
            self.unmask = apply_mask
        return same


mask: Final = Mask()
"""The one of this process."""
