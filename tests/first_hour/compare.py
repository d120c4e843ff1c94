"""Whether the programs of Flask and FastAPI beside this file do what the page's programs do.

    pip install flask flask-cors flask-sock freezegun apscheduler
    pip install fastapi httpx jinja2 python-multipart itsdangerous freezegun
    python tests/first_hour/compare.py flask
    python tests/first_hour/compare.py fastapi

Not a part of the tests, which need neither. It prints nothing if all is well.
"""

import io
import os
import sys
import tempfile
import types
from pathlib import Path

HERE = Path(__file__).parent
ORIGIN = "https://example.org"


def begin(other, name):
    """The module of a program, and a client of its application."""
    code = (HERE / other / f"{name}.py").read_text(encoding="utf-8")
    module = types.ModuleType("app")
    module.__file__ = str(Path.cwd() / "app.py")
    sys.modules["app"] = module
    exec(compile(code, "app.py", "exec"), vars(module))
    if other == "flask":
        return module, module.app.test_client()
    from fastapi.testclient import TestClient

    return module, TestClient(module.app, follow_redirects=False)


def text(response):
    """A body, without the quotes that FastAPI puts around text."""
    return response.text.strip('"')


def compare(other):
    """Run each program of Flask or FastAPI, and check what it answers."""
    client = begin(other, "static_file")[1]
    assert text(client.get("/assets/site.css")) == "p {}"
    client = begin(other, "template")[1]
    assert text(client.get("/birds/<b>")) == "<h1>&lt;b&gt;</h1>"
    client = begin(other, "form")[1]
    assert text(client.post("/birds", data={"name": "tit"})) == "added tit"
    client = begin(other, "upload")[1]
    if other == "flask":
        client.post("/photos", data={"photo": (io.BytesIO(b"png"), "a.png")})
    else:
        client.post("/photos", files={"photo": ("a.png", b"png")})
    assert [path.read_bytes() for path in Path("photos").iterdir()] == [b"png"]
    client = begin(other, "login")[1]
    tried = [client.get("/me")]
    for password in ("guess", "swordfish"):
        tried.append(client.post("/login", data={"name": "ann", "password": password}))
    assert [response.status_code for response in tried] == [401, 401, 303]
    assert text(client.get("/me")) == "hello ann"
    client = begin(other, "redirect")[1]
    assert client.get("/old").headers["location"] == "/new"
    client = begin(other, "404_page")[1]
    assert text(client.get("/x")) == "<h1>No such bird</h1>"
    client = begin(other, "named_url")[1]
    assert text(client.get(text(client.get("/first")))) == "bird 1"
    client = begin(other, "cors")[1]
    allowed = client.get("/birds", headers={"origin": ORIGIN}).headers
    assert allowed["access-control-allow-origin"] == ORIGIN
    client = begin(other, "middleware_for_both")[1]
    assert client.get("/").status_code == 401
    assert client.get("/", headers={"x-token": "secret"}).status_code == 200
    begin(other, "clock")[0].test_a_code_is_good_for_ten_minutes()
    if other == "flask":
        scheduler = begin(other, "job_every_minute")[0].scheduler
        assert len(scheduler.get_jobs()) == 1
        scheduler.shutdown()
        return
    client = begin(other, "validated_json")[1]
    for ring, status in ((1, 200), ("one", 422)):
        response = client.post("/birds", json={"name": "tit", "rings": [ring]})
        assert response.status_code == status
    client = begin(other, "background_job")[1]
    assert client.post("/mail/ann").status_code == 202


if __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if Path(path) != HERE]  # its folders have their names
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for path, content in (
            ("assets/site.css", "p {}"),
            ("templates/bird.html", "<h1>{{ name }}</h1>"),
        ):
            Path(path).parent.mkdir()
            Path(path).write_text(content, encoding="utf-8")
        Path("photos").mkdir()
        compare(sys.argv[1])
