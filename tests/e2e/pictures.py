"""Screenshots made small: PNG with a palette, which is a third of what Chromium writes.

Only what Chromium writes is read: eight bits a channel, RGB or RGBA, not interlaced.
"""

import struct
import zlib
from collections import Counter

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def small(png, colors=64):
    """The same picture with at most this many colours."""
    width, height, rows = read(png)
    pixels = [row[at : at + 3] for row in rows for at in range(0, len(row), 3)]
    number, palette = reduced(Counter(pixels), colors)
    indexed = bytes(number[color] for color in pixels)
    lines = b"".join(b"\0" + indexed[at : at + width] for at in range(0, len(indexed), width))
    return SIGNATURE + b"".join(
        (
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", b"".join(palette)),
            chunk(b"IDAT", zlib.compress(lines, 9)),
            chunk(b"IEND", b""),
        )
    )


def reduced(counts, colors):
    """A palette, and for each colour the number of the nearest in it.

    Half of the palette are the most frequent colours. The others are those that are the farthest
    from all before them, so that small things in a colour of their own keep it.
    """
    palette = [color for color, _ in counts.most_common(colors // 2)]
    away = {color: min(distance(color, one) for one in palette) for color in counts}
    while len(palette) < min(colors, len(counts)):
        palette.append(max(away, key=away.get))
        for color, far in away.items():
            away[color] = min(far, distance(color, palette[-1]))
    number = {
        color: min(range(len(palette)), key=lambda index: distance(palette[index], color))
        for color in counts
    }
    return number, palette


def distance(one, other):
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read(png):
    """Width, height, and the rows as RGB."""
    chunks, at = [], len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    width, height, depth, kind, _, _, interlace = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, interlace) == (8, 0)
    bytes_each = {2: 3, 6: 4}[kind]
    data = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    rows, before = [], bytes(width * bytes_each)
    for at in range(0, len(data), width * bytes_each + 1):
        line = bytearray(data[at + 1 : at + 1 + width * bytes_each])
        before = unfilter(data[at], line, before, bytes_each)
        if bytes_each == 4:
            del line[3::4]
        rows.append(bytes(line))
    return width, height, rows


def unfilter(kind, line, above, step):
    """Undo the filter of one line (PNG, section 9), in place. Gives the line as it is."""
    for at in range(len(line)):
        left = line[at - step] if at >= step else 0
        up, corner = above[at], above[at - step] if at >= step else 0
        line[at] = (line[at] + predicted(kind, left, up, corner)) & 255
    return bytes(line)


def predicted(kind, left, up, corner):
    """What the filter of a line guesses for a byte, from its neighbours."""
    if kind < 4:
        return (0, left, up, (left + up) // 2)[kind]
    guess = left + up - corner
    return min((left, up, corner), key=lambda one: abs(guess - one))  # Paeth; the first of equals
