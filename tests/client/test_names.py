"""The names that users import, and what importing them costs a server: nothing."""

import subprocess
import sys

import finch.client
from finch.client import connect


def test_the_public_names_say_what_they_are():
    for name in finch.client.__all__:
        thing = getattr(finch.client, name)
        assert thing.__doc__, name
    assert finch.client.connect is connect


def test_the_server_does_not_import_the_client():
    code = "import sys, finch; print([name for name in sys.modules if 'finch.client' in name])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
