"""finch.js: its tests under Node, its types, what is built of it, and what is in its package."""

import gzip
import json
import shutil
from contextlib import AsyncExitStack
from functools import partial

import pytest
import trio

import finch
from tests.conftest import need, serving
from tests.js.tools import HERE, STATIC, node, package, run, start
from tests.wire.vectors import EXCHANGES
from tests.wire.vectors_app import new_app

LARGEST = 6 * 1024  # bytes of finch.js, gzipped


def tsc(*arguments, **options):
    return run(node(), package("typescript") / "bin" / "tsc", *arguments, **options)


def test_the_tests_under_node():
    run(node(), "--test")


async def test_a_foreign_client_in_node_plays_the_exchanges():
    program = node()
    async with AsyncExitStack() as stack:
        servers = {}
        for name in EXCHANGES:
            running = await stack.enter_async_context(serving(new_app()))
            servers[name] = running.ws
        done = await trio.to_thread.run_sync(
            partial(start, program, "play_vectors.js", input=json.dumps(servers))
        )
    assert done.returncode == 0, done.stdout
    assert done.stdout.strip() == f"{len(EXCHANGES)} of {len(EXCHANGES)} exchanges"


async def test_the_module_in_node_against_a_real_server():
    program = node()
    async with serving(new_app()) as running:
        said = await trio.to_thread.run_sync(run, program, "real.js", f"{running.ws}/ws")
    assert said.strip() == "all is well"


# Types


def test_the_sources_fit_their_types():
    tsc("--project", "tsconfig.json")


@pytest.mark.parametrize(
    ("declared", "samples"),
    [
        (True, ["typed.ts", "page.js"]),
        (False, ["untyped.ts"]),
        (False, ["script.js"]),
    ],
)
def test_what_is_right_passes_and_what_is_wrong_does_not(declared, samples, tmp_path):
    """Each line of a sample that is wrong says so by ``@ts-expect-error``, and only those are."""
    types = (STATIC / "finch.d.ts").read_text(encoding="utf-8")
    if declared:
        types += (HERE / "types" / "declared.d.ts").read_text(encoding="utf-8")
    (tmp_path / "finch.d.ts").write_text(types, encoding="utf-8")
    for sample in samples:
        shutil.copy(HERE / "types" / sample, tmp_path)
    shutil.copy(HERE / "types" / "tsconfig.json", tmp_path)
    config = json.loads((tmp_path / "tsconfig.json").read_text(encoding="utf-8"))
    config["files"] = ["finch.d.ts", *samples]
    (tmp_path / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
    tsc("--project", "tsconfig.json", cwd=tmp_path)


def test_the_types_are_checked_at_all(tmp_path):
    shutil.copy(STATIC / "finch.d.ts", tmp_path)
    (tmp_path / "wrong.ts").write_text('import { connect } from "./finch.js";\nconnect(5);\n')
    with pytest.raises(AssertionError, match=r"wrong\.ts"):
        tsc("--noEmit", "--strict", "--moduleResolution", "bundler", "wrong.ts", cwd=tmp_path)


# What is shipped


def test_what_is_shipped_is_what_is_built(tmp_path):
    run(node(), "build.js", tmp_path)
    for name in ("finch.js", "finch.global.js"):
        built = (tmp_path / name).read_bytes()
        assert (STATIC / name).read_bytes() == built, f"{name} is not up to date: make client"


def test_the_module_is_small():
    size = len(gzip.compress((STATIC / "finch.js").read_bytes(), 9, mtime=0))
    assert size <= LARGEST, f"finch.js has {size} bytes, gzipped"


def test_the_package_has_the_version_of_finch():
    manifest = json.loads((STATIC / "package.json").read_text(encoding="utf-8"))
    assert manifest["version"] == finch.__version__
    assert manifest["name"] == "finch-trio"
    assert "dependencies" not in manifest


def test_the_package_can_be_packed_and_has_what_it_needs():
    npm = need("npm", "apt install npm")
    [packed] = json.loads(run(npm, "pack", "--dry-run", "--json", "--silent", cwd=STATIC))
    assert {file["path"] for file in packed["files"]} == {
        "README.md",
        "finch.d.ts",
        "finch.global.js",
        "finch.js",
        "package.json",
    }


def test_the_lock_file_names_no_registry():
    assert "://" not in (HERE / "package-lock.json").read_text(encoding="utf-8")
