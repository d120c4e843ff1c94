"""Groups, children, several paths: how routes are registered together."""

import pytest

from finch import ConfigurationError, FinchApp, FinchRoute
from finch.testing import TestClient


async def where(request, **params):
    return {"path": request.path, "params": params}


async def who(request): ...


def paths(app):
    return sorted(route.path for route in app.routes)


async def test_a_group_puts_its_prefix_before_each_path():
    app = FinchApp()
    api = app.group("/api")
    birds = api.group("/birds/{bird:int}")
    api.get("")(where)
    api.get("/")(where)
    birds.get("/songs/{song}")(where)
    birds.add_routes([FinchRoute("/rings", where)])

    below = "/api/birds/{bird:int}"
    assert paths(app) == ["/api", "/api/", f"{below}/rings", f"{below}/songs/{{song}}"]
    async with TestClient(app) as client:
        got = (await client.get("/api/birds/7/songs/blue")).json()
        assert got["params"] == {"bird": 7, "song": "blue"}
        assert (await client.get("/api")).status == 200


async def test_a_parameter_that_only_some_of_the_paths_have_has_its_default_in_the_others():
    app = FinchApp()

    @app.get("/birds", "/birds/{page:int}")
    async def birds(request, page: int = 1):
        return f"page {page}"

    async with TestClient(app) as client:
        assert (await client.get("/birds")).text == "page 1"
        assert (await client.get("/birds/2")).text == "page 2"


async def test_a_group_without_a_prefix_has_guards_alone():
    app = FinchApp()
    members = app.group(auth=lambda request: None)
    members.get("/in")(where)
    app.get("/out")(where)

    async with TestClient(app) as client:
        assert (await client.get("/in")).status == 401
        assert (await client.get("/out")).status == 200


async def test_children_have_the_paths_of_their_parents_before_theirs():
    app = FinchApp()

    async def song(request, bird: int, song):
        return f"{bird} {song}"

    app.add_routes(
        [
            FinchRoute(
                "/birds/{bird}",
                children=[
                    FinchRoute("", where),
                    FinchRoute("/songs", where, children=[FinchRoute("/{song}", song)]),
                ],
            )
        ]
    )

    assert paths(app) == ["/birds/{bird}", "/birds/{bird}/songs", "/birds/{bird}/songs/{song}"]
    async with TestClient(app) as client:
        assert (await client.get("/birds/7/songs/blue")).text == "7 blue"
        assert (await client.get("/birds/x/songs/blue")).status == 404


async def test_a_route_may_have_several_paths():
    app = FinchApp()
    app.get("/", "/home", "/birds/{bird}")(where)
    app.add_routes([FinchRoute(["/a", "/b"], where, methods=["POST"])])

    async with TestClient(app) as client:
        for path in ("/", "/home", "/birds/7"):
            assert (await client.get(path)).json()["path"] == path
        for path in ("/a", "/b"):
            assert (await client.post(path)).status == 200


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda app: app.group("/a/"), "the prefix '/a/' ends with a slash"),
        (lambda app: app.group("a"), "a route's path begins with a slash: write '/a'"),
        (lambda app: FinchRoute("/a"), "has neither a handler nor children"),
        (lambda app: FinchRoute([], where), "a route has no paths"),
        (lambda app: app.get("")(where), "a route's path begins with a slash"),
        (lambda app: app.get()(where), "a route's path begins with a slash"),
        (lambda app: app.add_routes([FinchRoute("", where)]), "a route's path begins with a slash"),
        (lambda app: FinchRoute("/a", children=[where]), "is not one; write"),
        (
            lambda app: app.group("/{a}").get("/{a}")(where),
            "route '/{a}/{a}' has the parameter 'a' twice",
        ),
        (
            lambda app: [app.get(path, key="k")(one) for path, one in (("/a", where), ("/b", who))],
            "two routes have the key 'k': /a (where) and /b (who)",
        ),
    ],
)
def test_a_mistake_is_told_where_it_is_made(make, said):
    with pytest.raises(ConfigurationError) as caught:
        make(FinchApp())
    assert said in str(caught.value)


def test_a_group_says_what_it_is():
    assert repr(FinchApp().group("/a").group("/b")) == "Group('/b')"
