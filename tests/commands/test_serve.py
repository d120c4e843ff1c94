"""What ``finch app:app`` shows of an application: its routes, all of them or the first ones."""

from finch.cli import main
from tests.processes import finch

APP = """
from finch import FinchApp

app = FinchApp()
for number in range(30):
    app.get(f"/{number}", key=f"k{number}")(lambda request: "")

@app.rooms("chat/{name}").socket("say")
async def say(socket, data): ...
"""


def test_routes_prints_all_routes_and_serves_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "many.py").write_text(APP)
    monkeypatch.chdir(tmp_path)

    assert main(["many:app", "--routes"]) == 0

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "GET /29 <lambda> k29" in lines
    assert "rooms /ws chat/{name} - -" in lines
    assert "socket /ws chat/{name} say say -" in lines


def test_the_banner_shows_the_first_routes_and_how_to_see_the_others(tmp_path):
    (tmp_path / "many.py").write_text(APP)

    with finch("many:app", "--port", 0, cwd=tmp_path) as process:
        lines = process.banner.splitlines()
        assert sum(line.startswith("  GET") for line in lines) == 20
        assert lines[-2:] == ["  ...      and 12 more; --routes prints all", "Stop it with Ctrl-C."]
