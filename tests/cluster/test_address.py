"""Where Redis is: over TLS, with a certificate that must be trusted and for this host."""

from functools import partial
from urllib.parse import quote

import pytest
import trio
import trustme

import finch
from finch import History, Unavailable
from finch.cluster.address import Address
from tests.cluster.nodes import heard, node, until
from tests.cluster.server import RedisServer, free_port


class Secured:
    """A Redis server that speaks TLS, and wants to see a certificate."""

    def __init__(self, folder):
        self.port = free_port()
        self.authority = trustme.CA()
        self.files = {
            "ca": self.authority.cert_pem,
            "server": self.authority.issue_cert("localhost").private_key_and_cert_chain_pem,
            "client": self.authority.issue_cert("client").private_key_and_cert_chain_pem,
            "other": trustme.CA().cert_pem,
        }
        self.folder = folder
        for name, pem in self.files.items():
            pem.write_to_path(folder / f"{name}.pem")
        options = {"port": self.port, "cert-file": "server", "key-file": "server"}
        options["ca-cert-file"] = "ca"
        self.options = [
            word
            for name, value in options.items()
            for word in (f"--tls-{name}", self.path(value) if name != "port" else str(value))
        ]

    def path(self, name):
        return str(self.folder / f"{name}.pem")

    def url(self, host="localhost", ca="ca", more=""):
        files = {"ssl_ca_certs": ca, "ssl_certfile": "client", "ssl_keyfile": "client"}
        query = "&".join(f"{key}={quote(self.path(name))}" for key, name in files.items())
        return f"rediss://{host}:{self.port}/0?prefix=tls&{query}{more}"


@pytest.fixture
def secured(tmp_path):
    secured = Secured(tmp_path)
    with RedisServer(tmp_path, *secured.options):
        yield secured


async def test_processes_and_other_programs_are_joined_over_tls(secured):
    url = secured.url()
    async with node(url) as one, node(url) as two:
        ann = await two.connect("ann")
        await ann.join("chat/a")
        await one.app.room("chat/a").send("hello", path="said")
        assert (await heard(ann, "said")).data == "hello"
        history = History(messages=50, seconds=60)
        publish = partial(finch.publish, url, ("room", "chat/a"), 1, "said", history=history)
        assert await trio.to_thread.run_sync(publish) == 2
        assert (await heard(ann, "said")).data == 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"host": "127.0.0.1"}, "IP address mismatch"),
        ({"ca": "other"}, "certificate verify failed"),
    ],
)
async def test_a_certificate_that_proves_nothing_is_refused_and_the_log_says_why(
    secured, options, why, caplog
):
    async with node(secured.url(**options)) as one:
        assert one.backplane.state == "connecting"
        await until(lambda: why in caplog.text, "the log says why")
    with pytest.raises(Unavailable, match=why):
        await trio.to_thread.run_sync(finch.publish, secured.url(**options), "everyone", 1)


async def test_who_says_so_needs_no_certificate_for_the_host(secured):
    url = secured.url("127.0.0.1", more="&ssl_check_hostname=false")
    async with node(url) as one:
        assert one.backplane.state == "connected"


def test_no_certificate_at_all_can_be_wanted():
    Address("rediss://localhost?ssl_cert_reqs=none")
