"""What Finch keeps in Redis: names of keys and channels, scripts, and the form of messages. Plain
data: no I/O.

``docs/redis.md`` describes it for other programs. Whoever changes it thinks of a rolling upgrade:
for some time, processes with the old code and with the new code share one Redis. So a field may be
added; if a message can no longer be understood without a new field, ``VERSION`` grows.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from finch.cluster.backplane import Channel, Draft
from finch.cluster.history import History
from finch.cluster.views import Seen, Who

VERSION: Final = 1
"""Of the messages that this code writes. It ignores messages with a larger one."""

NODE: Final = 6
"""Characters of a process's id. The ids of its clients begin with them."""

_LONGEST: Final = 10 * 365 * 86_400_000  # ms that a key lives at most; Redis refuses much more
_MARGIN: Final = 60_000  # ms that a numbering outlives its messages


class Note(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What one process says to others, as JSON.

    Attributes:
        v: the version of the sender.
        node: the id of the sender; empty for a program that is not Finch.
        ref: the sender's own number of it; 0 for none.
        do: what to do: empty for a message to clients, ``close`` for closing their connections,
            ``attend`` for who hears the channel in the sender; ``ask`` for a call of clients,
            ``unask`` for the end of it, ``asked`` and ``answer`` for what comes back; ``post`` for
            messages of a client without a WebSocket, ``posted`` for what became of them. What is
            unknown is ignored.
        client: if it is for one client, its id.
        path, status, timestamp, data, volatile, key, skip: as of
            :class:`finch.cluster.backplane.Draft`. Without a timestamp, it is made by who gets it.
        code, reason: with ``close``.
        count: with ``attend``, how many clients of the sender hear the channel, if that has
            changed; with ``asked``, how many are asked.
        people: with ``attend``, who has changed: pairs of whom, and what the sender knows; null for
            one who is not present there.
        user: with ``answer``, the user of the client; ``status`` is 0 if the client has left.
    """

    v: int
    node: str = ""
    ref: int = 0
    do: str = ""
    client: str | None = None
    path: str = ""
    status: int = 200
    timestamp: int = 0
    data: msgspec.Raw = msgspec.Raw(b"null")
    volatile: bool = False
    key: Any = None
    skip: str | None = None
    code: int = 1000
    reason: str = ""
    count: int | None = None
    people: list[tuple[Who, Seen | None]] = []
    user: str | int | None = None

    def draft(self, room: str | None, now: int) -> Draft:
        """The message to clients.

        Parameters:
            room: the ``room`` that it carries in this process.
            now: milliseconds since the epoch.
        """
        timestamp = self.timestamp or now
        key = (room, _hashable(self.key))
        data = bytes(self.data)
        return Draft(data, self.path, self.status, timestamp, room, self.volatile, key, self.skip)


class _Version(msgspec.Struct):
    v: int


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Note)
_version: Final = msgspec.json.Decoder(_Version)


def encode_note(note: Note) -> bytes:
    """What one process says, as text."""
    return _encoder.encode(note)


def opening(node: str) -> bytes:
    """What the text of each note of a process begins with."""
    return _encoder.encode(Note(v=VERSION, node=node))[:-1] + b","


def packed(draft: Draft, node: str, ref: int = 0, client: str | None = None) -> bytes:
    """A message to clients, as other processes get it.

    Raises:
        TypeError: if its key is nothing that other processes can compare.
    """
    key = draft.key[1] if draft.key else None
    if not _is_plain(key):
        raise TypeError(
            "the key of a volatile message is text, a number or a tuple of these, if there is a "
            f"backplane, not {type(key).__name__}: other processes must be able to compare it"
        )
    note = Note(
        v=VERSION,
        node=node,
        ref=ref,
        client=client,
        path=draft.path,
        status=draft.status,
        timestamp=draft.timestamp,
        data=msgspec.Raw(draft.data),
        volatile=draft.volatile,
        key=key,
        skip=draft.skip,
    )
    return _encoder.encode(note)


def packed_close(
    code: int, reason: str, node: str, *, skip: str | None = None, client: str | None = None
) -> bytes:
    """What closes the connections of those who hear a channel."""
    note = Note(
        v=VERSION, node=node, do="close", client=client, code=code, reason=reason, skip=skip
    )
    return _encoder.encode(note)


def packed_attendance(node: str, count: int | None, people: list[tuple[Who, Seen | None]]) -> bytes:
    """What has changed among those who hear a channel in one process."""
    note = Note(v=VERSION, node=node, do="attend", count=count, people=people)
    return _encoder.encode(note)


def read_note(text: bytes) -> Note | None:
    """What another process has said; None if its version is newer than this code.

    Raises:
        ValueError: if it is something else; the message says what is wrong.
    """
    try:
        return None if _version.decode(text).v > VERSION else _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"it is no message of Finch's: {error}") from None


def read_numbered(frame: bytes) -> tuple[str, int, bytes]:
    """Epoch, number and text of a numbered message on a channel.

    Raises:
        ValueError: if it is something else.
    """
    head, _, text = frame.partition(b" ")
    epoch, _, seq = head.partition(b":")
    if not epoch.isascii() or not seq.isdigit() or len(seq) > 16:
        raise ValueError("it is no message of Finch's: it begins with no position")
    return epoch.decode(), int(seq), text


class Names:
    """The names of keys and channels.

    All names of one audience have the same part in braces, so that they are in one slot of a
    cluster.

    Parameters:
        prefix: what they all begin with.
        db: the number of the database. Channels belong to none, so their names tell them apart.
        mount: the path of a further manager of the application; empty for the first one.
    """

    def __init__(self, prefix: str, db: int = 0, mount: str = "") -> None:
        self._base = prefix + (f"@{db}" if db else "") + (f":{mount}" if mount else "")

    def channel(self, channel: Channel) -> bytes:
        """The Pub/Sub channel of an audience."""
        kind, name = channel
        if kind == "everyone":
            tag = kind
        elif kind == "room":
            tag = f"room:{name}"
        else:  # 7 and "7" are two users
            tag = f"{kind}:{msgspec.json.encode(name).decode()}"
        return f"{self._base}:{{{tag}}}".encode("utf-8", "surrogatepass")

    def of(self, channel: Channel) -> bytes:
        """The same; for a client, the channel of its process."""
        if channel.kind == "client":
            return self.node(str(channel.name)[:NODE])
        return self.channel(channel)

    def keys(self, channel: Channel) -> tuple[bytes, bytes]:
        """The keys of an audience's numbering and of its messages."""
        name = self.channel(channel)
        return name + b":n", name + b":m"

    def counts(self, channel: Channel) -> bytes:
        """The key of how many hear an audience: a hash, by process."""
        return self.channel(channel) + b":c"

    def people(self, channel: Channel) -> bytes:
        """The key of who is present in a room: a hash, by process and person."""
        return self.channel(channel) + b":p"

    def lease(self, node: str) -> bytes:
        """The key that lives as long as a process."""
        return self.node(node) + b":l"

    def node(self, node: str) -> bytes:
        """The channel of one process."""
        return self.channel(Channel("node", node))

    def leader(self) -> tuple[bytes, bytes]:
        """The keys of the lease of the leader, and of the run of Redis in which it counts."""
        name = f"{self._base}:{{leader}}".encode("utf-8", "surrogatepass")
        return name + b":l", name + b":r"


def lifetimes(history: History) -> tuple[int, int]:
    """How long the keys of messages and of their numbering live, in milliseconds."""
    kept = min(max(1, int(min(history.seconds * 1000, _LONGEST))), _LONGEST)
    return kept, kept + _MARGIN


# A numbering belongs to one run of Redis. After a restart or a failover, the newest messages may
# be lost, and their numbers would be given again. So a new run begins a new epoch.
_ENSURE: Final = """
local known = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'seq')
local epoch, run, seq = known[1], known[2], tonumber(known[3])
if not epoch or not seq or (ARGV[1] ~= '' and run ~= ARGV[1]) then
  epoch, seq = ARGV[2], 0
  redis.call('DEL', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', ARGV[1], 'seq', 0)
end
"""

NUMBER: Final = (
    _ENSURE
    + """
seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
local text = string.format('%.0f', seq)
local now = redis.call('TIME')
local at = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], text .. '-0', 't', at, 'm', ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('PUBLISH', ARGV[7], epoch .. ':' .. text .. ' ' .. ARGV[6])
return {epoch, seq}
"""
)
"""Numbers a message, keeps it and publishes it. ``KEYS``: numbering, messages. ``ARGV``: the run of
Redis, an epoch for a new numbering, how many messages are kept, two lifetimes, the message, the
channel. Returns epoch and number."""

READ: Final = (
    _ENSURE.replace("not seq or", "not seq or (epoch == ARGV[4] and seq < tonumber(ARGV[5])) or")
    + """
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local after = epoch == ARGV[4] and ARGV[5] or '0'
local now = redis.call('TIME')
local at = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
return {epoch, seq, at, redis.call('XRANGE', KEYS[2], '(' .. after .. '-0', '+')}
"""
)
"""What came after a position. ``KEYS``: as before. ``ARGV``: the run of Redis, an epoch for a new
numbering, the lifetime of the numbering, and the position: epoch and number. If the epoch is
another one by now, everything. Returns epoch, newest number, the time and the messages. Begins a
new epoch if messages that somebody knows are missing at the end."""

# In a new run of Redis, the lease may be lost although its holder still leads. So nobody else gets
# it until the lease that may be lost has ended.
ELECT: Final = """
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local known = redis.call('HMGET', KEYS[2], 'run', 'at')
local at = tonumber(known[2])
if known[1] ~= ARGV[1] or not at then
  at = now
  redis.call('HSET', KEYS[2], 'run', ARGV[1], 'at', string.format('%.0f', now))
end
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[2] then return 0 end
if not holder and ARGV[4] == '0' and now - at < tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
"""Gets or renews the lease of the leader. ``KEYS``: the lease, its run. ``ARGV``: the run of Redis,
the process, milliseconds, and 1 if the process leads. Returns whether it has the lease."""

RESIGN: Final = """
if redis.call('GET', KEYS[1]) == ARGV[2] then redis.call('DEL', KEYS[1]) end
"""
"""Gives the lease up. ``KEYS`` and ``ARGV``: as before."""


def _is_plain(key: Any) -> bool:
    if type(key) is tuple:
        return all(map(_is_plain, key))
    return key is None or type(key) in (str, int, float, bool)


def _hashable(key: Any) -> Any:
    if isinstance(key, list):
        return tuple(map(_hashable, key))
    return key if _is_plain(key) else str(key)
