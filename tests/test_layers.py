"""The house keeps its layers: imports go one way, and the wire knows nothing of I/O or time."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "finch"

# Bottom to top. A module imports only from above it in this list, and so does a folder.
HOUSE = """
encoding
explain
keywords
headers
errors
conversions
typed
config
settings
sources
turns
failures
logs
formats
access
declaring
blocks
tasks
waits
calls

wire.head
wire.body
wire.sized
wire.response
wire.http
wire.events
wire.frames
wire.masking
wire.extensions
wire.authority
wire.websocket
wire.handshake
wire.origins
wire.numbers
wire.eventstream
wire.envelope
wire.posted
wire.message
wire.forwarded
wire.proxy
wire.hello

net.address
net.flusher
net.slices
net.transport
net.plain
net.streams
net.listeners
net.notify
net.acceptor
net.proxies
net.readers
net.hub
net.silence

http.date
http.body
http.language
http.cookies
http.media
http.encodings
http.ranges
http.conditional
http.filetypes
http.disposition
http.below
http.disk
http.opened
http.advice
http.response
http.streaming
http.events
http.takeover
http.returned
http.spool
http.uploads
http.multipart
http.forms
http.reading
http.request
http.files
http.file_replies
http.guarding
http.methods
http.paths
http.converters
http.patterns
http.annotations
http.shapes
http.arguments
http.signatures
http.routing
http.static
http.urls
http.accepts
http.raised
http.problems
http.pipeline
http.sending
http.connection

guards.around
guards.cors
guards.hosts
guards.headers
guards.request_ids
guards.compress
guards.credentials
guards.rate

cluster.history
cluster.views
cluster.figures
cluster.leader
cluster.backplane
cluster.inprocess
cluster.layout
cluster.sequence
cluster.unsent
cluster.slots
cluster.connection
cluster.address
cluster.shards
cluster.line
cluster.attendance
cluster.posting
cluster.hearing
cluster.calling
cluster.passing
cluster.election
cluster.redis
cluster.outside
cluster.choice
cluster.orders
cluster.backoff
cluster.control
cluster.worker
cluster.supervisor
cluster.reloader

sockets.states
sockets.lag
sockets.members
sockets.presence
sockets.conflation
sockets.asks
sockets.repeats
sockets.workers
sockets.outlet
sockets.spawned
sockets.refusals
sockets.link
sockets.eventlink
sockets.annotations
sockets.event
sockets.guarding
sockets.binding
sockets.sent
sockets.rooms
sockets.asked
sockets.identity
sockets.table
sockets.options
sockets.upgrade
sockets.outgoing
sockets.dispatch
sockets.repeating
sockets.concurrent
sockets.inbox
sockets.admission
sockets.membership
sockets.client
sockets.checks
sockets.elsewhere
sockets.calls
sockets.fanout
sockets.delivery
sockets.audience
sockets.room
sockets.identities
sockets.posts
sockets.entrance
sockets.registry
sockets.stats
sockets.manager
sockets.controller
sockets.raw

sessions.codec
sessions.session
sessions.middleware
sessions.login
sessions.flash
sessions.csrf

client.address
client.options
client.backoff
client.said
client.membership
client.events
client.calls
client.queue
client.conversation
client.connection
client.dial
client.mailbox
client.pending
client.answers
client.core
client.stream
client.room
client.keeper
client.finch

loading.histogram
loading.frames
loading.target
loading.plan
loading.connection
loading.pace
loading.clients
loading.conductor
loading.picture

describe.schemas
describe.words
describe.description
describe.surface
describe.listing
describe.typescript
describe.answers
describe.parameters
describe.openapi
describe.envelopes
describe.asyncapi
describe.page

lifespan
beside
publishing
routes
served
shortcuts
templates
browser
health
bearer
metrics
endpoint
backplanes
described
app
watchdog
deferred
drain
sweep
server
options
lastresort
serving
working
blame
finding
gallery

commands.output
commands.parser
commands.describe
commands.new
commands.load
commands.serve

cli

testing.answers
testing.forms
testing.asking
testing.cookies
testing.exchange
testing.streamed
testing.socket
testing.client
""".split()

# Plain data above the wire: what time it is, others tell them.
PLAIN = """
settings
sockets.lag
sockets.members
cluster.history
cluster.orders
cluster.backoff
cluster.views
cluster.layout
cluster.sequence
cluster.unsent
cluster.slots
sockets.presence
sockets.conflation
client.address
client.options
client.backoff
client.said
client.membership
client.events
client.calls
client.queue
client.conversation
sockets.repeats
loading.histogram
loading.target
loading.plan
loading.picture
""".split()

FORBIDDEN_IN_PLAIN = {
    "trio",
    "asyncio",
    "time",
    "datetime",
    "socket",
    "select",
    "threading",
    "logging",
}


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_name(path): path for path in ROOT.rglob("*.py")}


def is_for_types_only(node):
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def imports(tree):
    """What a module imports when it runs: names of modules, annotations left out."""
    for node in ast.iter_child_nodes(tree):
        if is_for_types_only(node):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write absolute imports"
            yield node.module
        else:
            yield from imports(node)


def test_every_module_has_its_place():
    placed = {name for name in MODULES if not name.split(".")[-1].startswith("__")}
    assert placed == set(HOUSE)


@pytest.mark.parametrize("name", HOUSE)
def test_a_module_imports_only_from_above(name):
    allowed = {f"finch.{other}" for other in HOUSE[: HOUSE.index(name)]}
    tree = ast.parse(MODULES[name].read_text())
    own = {module for module in imports(tree) if module.split(".")[0] == "finch"}
    assert own <= allowed


def test_folders_stand_together():
    """So that the order of the modules is one of the folders as well."""
    folders = [name.rpartition(".")[0] for name in HOUSE]
    runs = [folder for at, folder in enumerate(folders) if at == 0 or folders[at - 1] != folder]
    order = ["", "wire", "net", "http", "guards", "cluster", "sockets"]
    order += ["sessions", "client", "loading", "describe", "", "commands", "", "testing"]
    assert runs == order


@pytest.mark.parametrize("name", [*(name for name in HOUSE if name.startswith("wire.")), *PLAIN])
def test_the_wire_and_plain_data_have_no_io_no_clock_and_never_await(name):
    tree = ast.parse(MODULES[name].read_text())
    assert {module.split(".")[0] for module in imports(tree)}.isdisjoint(FORBIDDEN_IN_PLAIN)
    asynchronous = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(tree) if isinstance(node, asynchronous)]


LONGEST = 400  # lines: a sign to look for the seam


@pytest.mark.parametrize("name", HOUSE)
def test_a_module_is_small(name):
    assert MODULES[name].read_text().count("\n") <= LONGEST


@pytest.mark.parametrize("name", HOUSE)
def test_a_module_says_what_it_owns(name):
    assert ast.get_docstring(ast.parse(MODULES[name].read_text()))


def test_the_page_of_the_docs_shows_this_house():
    from tests.house import PAGE, redrawn

    page = PAGE.read_text(encoding="utf-8")
    assert redrawn(page) == page, "run: python -m tests.house"
