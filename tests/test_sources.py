"""Where settings come from: which source wins, and what is said of one that is wrong."""

import httpx
import pytest

import finch
from finch import ConfigurationError, FinchApp
from finch.cli import main
from finch.sources import from_environment, from_file, gather
from tests.processes import finch as finch_process


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(layer):
    return {name: found.value for name, found in layer.items()}


def test_the_command_line_wins_then_the_environment_then_the_file(folder):
    (folder / "finch.toml").write_text('host = "::1"\nport = 1\nworkers = 1\n')
    found = gather({"port": 3}, environment={"FINCH_PORT": "2", "FINCH_WORKERS": "2"})
    assert values(found) == {"port": 3, "workers": 2, "host": "::1"}
    assert [found[name].source for name in ("port", "workers", "host")] == [
        "--port",
        "FINCH_WORKERS",
        "host in finch.toml",
    ]


def test_an_address_of_one_kind_hides_the_other_kinds_of_weaker_sources(folder):
    (folder / "finch.toml").write_text('unix = "s"\nhost = "::1"\n')
    assert values(gather({"port": 1}, environment={})) == {"port": 1, "host": "::1"}
    assert values(gather({"fd": 3}, environment={"FINCH_UNIX": "t"})) == {"fd": 3}


def test_pyproject_is_used_if_it_has_settings_and_there_is_no_finch_toml(folder):
    (folder / "pyproject.toml").write_text("[tool.finch]\nport = 1\n[tool.ruff]\nx = 1\n")
    assert values(gather({}, environment={})) == {"port": 1}
    (folder / "finch.toml").write_text("port = 2\n")
    assert values(gather({}, environment={})) == {"port": 2}


def test_a_file_can_be_named(folder):
    (folder / "production.toml").write_text("port = 3\n")
    (folder / "finch.toml").write_text("port = 2\n")
    assert values(gather({}, "production.toml", {})) == {"port": 3}
    assert values(gather({}, environment={"FINCH_CONFIG": "production.toml"})) == {"port": 3}


def test_a_pyproject_without_finch_is_not_even_parsed(folder):
    (folder / "pyproject.toml").write_text("is not TOML")
    assert gather({}, environment={}) == {}


def test_what_is_empty_in_the_environment_is_not_set():
    assert from_environment({"FINCH_PORT": "", "OTHER": "x", "FINCH_TEST_ALL": "1"}) == {}


@pytest.mark.parametrize(
    ("variable", "text", "says"),
    [
        (
            "FINCH_PROT",
            "80",
            "FINCH_PROT of the environment is no setting of Finch; did you mean F",
        ),
        ("FINCH_PROT", "", "did you mean FINCH_PORT?"),  # wrong also if it is empty
        ("FINCH_", "80", "is no setting of Finch; there are FINCH_APP, FINCH_HOST"),
        ("FINCH_SECRET", "80", "FINCH_SECRET of the environment is no setting"),
        ("FINCH_Port", "80", "did you mean FINCH_PORT?"),
        ("FINCH_PORT", "http", "FINCH_PORT: 'http' is not a port"),
        ("FINCH_PORT", "tcp://10.0.0.1:80", "Kubernetes sets it for a Service named finch"),
        ("FINCH_SERVICE_HOST", "10.0.0.1", "Kubernetes sets it for a Service named finch"),
        ("FINCH_DEBUG", "perhaps", "FINCH_DEBUG: 'perhaps' is neither true nor false"),
    ],
)
def test_a_variable_that_is_wrong_is_refused(variable, text, says):
    with pytest.raises(ConfigurationError, match=says):
        from_environment({variable: text})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot = 1", "prot in finch.toml is no setting of Finch; did you mean port"),
        ("access-log = true", "did you mean access_log"),
        ("port = '1'", "port in finch.toml: '1' is not a number from 0 to 65535; write port = 1"),
        ("port = ", "finch.toml is not TOML: "),
        ("[limits]\nx = 1", "limits in finch.toml is no setting"),
        ("host = '\udcff'", "finch.toml is not TOML: 'utf-8' codec"),
    ],
)
def test_a_key_that_is_wrong_is_refused(folder, text, says):
    (folder / "finch.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=says):
        gather({}, environment={})


def test_pyproject_is_named_in_errors(folder):
    path = folder / "pyproject.toml"
    path.write_text("[tool.finch]\nprot = 1\n")
    with pytest.raises(ConfigurationError, match=r"prot in \[tool.finch\] in pyproject.toml is no"):
        gather({}, environment={})
    path.write_text("[tool]\nfinch = 1\n")
    with pytest.raises(ConfigurationError, match=r"is not a table; write \[tool.finch\]"):
        gather({}, environment={})


def test_a_named_file_that_is_not_there_or_cannot_be_read_is_said(folder):
    with pytest.raises(ConfigurationError, match=r"there is no file nowhere.toml"):
        gather({}, "nowhere.toml", {})
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        from_file(folder)


APP = """
from finch import FinchApp
app = FinchApp()

@app.get("/")
async def index(request):
    return "hello"
"""


def test_all_settings_are_shown_with_their_sources(folder, monkeypatch, capsys):
    (folder / "finch.toml").write_text('app = "app:app"\nport = 1\naccess_log = false\n')
    monkeypatch.setenv("FINCH_PORT", "2")
    monkeypatch.setenv("FINCH_BACKPLANE", "redis://me:secret@localhost/0")
    assert main(["--show-settings", "--log-level", "debug"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "app app:app app in finch.toml" in lines
    assert "port 2 FINCH_PORT" in lines
    assert "access_log False access_log in finch.toml" in lines
    assert "log_level debug --log-level" in lines
    assert "host 127.0.0.1 default" in lines
    assert "backplane redis://me:***@localhost/0 FINCH_BACKPLANE" in lines


def test_a_process_and_its_workers_serve_what_the_environment_and_the_file_say(folder):
    (folder / "shop.py").write_text(APP)
    (folder / "finch.toml").write_text('app = "shop:app"\nport = 1\n')
    for workers in ("", "1"):
        with finch_process(cwd=folder, FINCH_PORT="0", FINCH_WORKERS=workers) as process:
            assert httpx.get(f"{process.url}/").text == "hello"
            process.signal()
            code, out = process.wait()
        assert (code, "[1] finch.access" in out.replace("INFO ", "")) == (0, workers == "1")


def test_a_wrong_setting_is_one_clear_line(folder, capsys, monkeypatch):
    (folder / "finch.toml").write_text("prot = 1\n")
    assert main(["app"]) == 1
    assert capsys.readouterr().err == (
        "finch: prot in finch.toml is no setting of Finch; did you mean port?\n"
    )


def test_without_an_application_the_usage_is_shown(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--port", "0"])
    assert stop.value.code == 2
    assert "which application? Write finch app:app" in capsys.readouterr().err


@pytest.fixture
def served(monkeypatch):
    """What ``finch.run`` would serve with."""
    found = []
    monkeypatch.setattr("finch.serving.trio.run", found.append)
    monkeypatch.setattr("finch.serving.tune_gc", lambda: None)
    return found


def test_run_takes_from_the_environment_what_it_is_not_given(folder, served, monkeypatch, caplog):
    (folder / "finch.toml").write_text('host = "::1"\ndebug = true\n')
    monkeypatch.setenv("FINCH_PORT", "2")
    monkeypatch.setenv("FINCH_WORKERS", "2")
    monkeypatch.setenv("FINCH_ACCESS_LOG", "yes")
    monkeypatch.setenv("FINCH_BACKPLANE", "redis://localhost")
    app = FinchApp()
    finch.run(app, access_log=False)
    assert served[0].keywords == {"access_log": False, "port": 2, "host": "::1"}
    assert (app.debug, app.backplane) == (True, "redis://localhost")
    assert "serves in this process alone, without FINCH_WORKERS" in caplog.text


def test_run_says_nothing_of_settings_that_ask_for_one_process(served, monkeypatch, caplog):
    monkeypatch.setenv("FINCH_WORKERS", "1")
    monkeypatch.setenv("FINCH_RELOAD", "no")
    finch.run(FinchApp())
    assert caplog.text == ""


def test_run_given_an_address_ignores_one_of_another_kind(served, monkeypatch):
    monkeypatch.setenv("FINCH_UNIX", "s")
    finch.run(FinchApp(), port=1)
    assert served[0].keywords == {"port": 1}


def test_run_refuses_what_is_wrong_in_the_environment(served, monkeypatch):
    monkeypatch.setenv("FINCH_PROT", "1")
    with pytest.raises(ConfigurationError, match="did you mean FINCH_PORT"):
        finch.run(FinchApp())
    assert not served
