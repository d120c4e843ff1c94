"""``finch new``: the application that it writes passes its own tests, and is served."""

import os
import subprocess
import sys
import tomllib

import httpx
import pytest
import websockets.sync.client

import finch.commands.new
from finch.cli import main
from tests.pages import ROOT
from tests.processes import finch as served


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_application_passes_its_tests_and_is_served(folder, capsys):
    assert main(["new", "my-shop"]) == 0
    assert "my-shop is written." in capsys.readouterr().out
    shop = folder / "my-shop"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=shop,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    with served("--port", 0, cwd=shop, PYTHONPATH=str(ROOT)) as process:  # app: by pyproject.toml
        assert "<h1>my-shop</h1>" in httpx.get(process.url).text
        assert httpx.get(f"{process.url}/healthz").status_code == 200
        assert httpx.get(f"{process.url}/finch.js").status_code == 200
        with websockets.sync.client.connect(f"{process.ws}/ws") as ws:
            ws.send('{"path": "say", "data": "hello"}')
            assert '"hello"' in ws.recv(timeout=10)


def test_its_files_are_what_the_readme_says(folder):
    assert main(["new", "shop"]) == 0
    shop = folder / "shop"
    names = {path.name for path in shop.iterdir()}
    assert names == {
        ".dockerignore",
        ".gitignore",
        "Dockerfile",
        "README.md",
        "app.py",
        "page.html",
        "pyproject.toml",
        "requirements.txt",
        "test_app.py",
    }
    project = tomllib.loads((shop / "pyproject.toml").read_text())
    assert project["project"]["name"] == "shop"
    docker = (shop / "Dockerfile").read_text()
    assert docker.index("USER app") < docker.index('CMD ["python", "-m"')
    assert "HEALTHCHECK" in docker
    for path in shop.iterdir():
        assert "$name" not in path.read_text()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a/b", "'a/b' is a path"),
        ("../shop", "is a path"),
        ("..", "is a path"),
        ("", "'' is no name for an application; write letters"),
        ("-shop", "is no name"),
        ("shop-", "is no name"),
        ("1shop", "is no name"),
        ("my shop", "is no name"),
        ("shop\n", "is no name"),
        ("caf\u00e9", "is no name"),
        ("a" * 65, "is no name"),
        ("${x}", "is no name"),
        ("con", "is no name"),
        ("Finch_Trio", "is the name of Finch itself"),
    ],
)
def test_a_wrong_name_is_one_clear_line(folder, capsys, name, says):
    assert main(["new", "--", name]) == 1
    complaint = capsys.readouterr().err
    assert says in complaint
    assert complaint.count("\n") == 1
    assert list(folder.iterdir()) == []


def test_nothing_is_overwritten(folder, capsys):
    (folder / "shop").mkdir()
    (folder / "shop" / "app.py").write_text("mine")
    assert main(["new", "shop"]) == 1
    assert "exists and is not empty; nothing is written" in capsys.readouterr().err
    assert [path.name for path in (folder / "shop").iterdir()] == ["app.py"]
    (folder / "file").write_text("mine")
    assert main(["new", "file"]) == 1
    assert "file cannot be written: File exists" in capsys.readouterr().err


def test_an_empty_folder_is_filled(folder):
    (folder / "shop").mkdir()
    assert main(["new", "shop"]) == 0
    assert (folder / "shop" / "app.py").exists()


def test_a_folder_that_cannot_be_written_is_said(folder, capsys, monkeypatch):
    def refuse(name):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(finch.commands.new, "skeleton", refuse)
    assert main(["new", "shop"]) == 1
    assert capsys.readouterr().err == "finch: shop cannot be written: Permission denied\n"


def test_a_wrong_environment_does_not_matter(folder, monkeypatch):
    monkeypatch.setenv("FINCH_PROT", "1")
    assert main(["new", "shop"]) == 0
