"""Mistakes on the command line, and where a server is begun."""

import asyncio
import os
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

import finch
from finch import FinchApp
from finch.finding import Mistake, find_app
from finch.sources import gather
from tests.mistakes.book import mistake

APP = "from finch import FinchApp\n\napp = FinchApp()\n"


@contextmanager
def folder_with(files):
    """A folder to stand in; what is imported from it is forgotten afterwards."""
    before, path, modules = os.getcwd(), list(sys.path), set(sys.modules)
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).parent.mkdir(exist_ok=True)
            (Path(folder) / name).write_text(text)
        os.chdir(folder)
        try:
            yield os.getcwd()
        finally:
            os.chdir(before)
            sys.path[:] = path
            for name in sys.modules.keys() - modules:
                del sys.modules[name]


def find(name, **files):
    """What the command line says: ``name`` is its first argument, ``files`` modules by name."""
    files = {f"{module.replace('__', '/')}.py": text for module, text in files.items()}
    with folder_with(files) as folder:
        try:
            find_app(name)
        except Mistake as said:
            text = str(said).replace(sys.executable, "/venv/bin/python")
            return text.replace(folder, "/chat").replace(Path(folder).name, "chat")


@mistake("The command line", "finch app.py", "name the module: app:app")
def a_file():
    return find("app.py", app=APP)


@mistake("The command line", "finch app.app", "write app:app")
def a_dot_for_the_colon():
    return find("app.app", app=APP)


@mistake("The command line", "finch ap", "did you mean app?")
def a_misspelt_module():
    return find("ap", app=APP)


@mistake("The command line", "finch main, where app is called site", "it has main:site")
def an_app_of_another_name():
    return find("main", main=APP.replace("app =", "site ="))


@mistake("The command line", "finch site, for a file site.py", "rename that")
def a_module_of_python():
    said = find("site", site=APP)
    return said.replace(sys.modules["site"].__file__, "/usr/lib/python3/site.py")


@mistake("The command line", "finch app:create_app", "write app:create_app()")
def a_factory_without_its_call():
    return find("app:create_app", app=f"{APP}\ndef create_app():\n    return app\n")


@mistake("The command line", "finch app:create_app() with an async def", "make it a plain def")
def an_async_factory():
    return find("app:create_app()", app=f"{APP}\nasync def create_app():\n    return app\n")


@mistake("The command line", "finch app:create_app() with def create_app(settings)", "settings")
def a_factory_with_arguments():
    return find("app:create_app()", app=f"{APP}\ndef create_app(settings):\n    return app\n")


@mistake("The command line", "finch app:App for class App(FinchApp)", "write app:App()")
def a_class():
    return find("app:App", app="from finch import FinchApp\n\nclass App(FinchApp): ...\n")


@mistake("The command line", "import sqlalchemyy in app.py", "line 12", "is it installed for /venv")
def a_library_that_is_missing():
    return find("app", app="import sqlalchemyy\n")


@mistake("The command line", "import models in chat/app.py", "import chat.models")
def a_neighbour():
    return find("talk.app", talk__app="import models\n", talk__models="").replace("talk", "chat")


@mistake("The command line", "json.loads(text) fails in app.py", "app.py, line 12")
def an_error_of_a_library():
    said = find("app", app="import json\n\njson.loads('')\n")
    return said.replace(str(Path(os.__file__).parent), "/usr/lib/python3")


def settings(environment, **files):
    """What is said of settings: ``files`` are files by name, such as ``finch__toml``."""
    with folder_with({name.replace("__", "."): text for name, text in files.items()}):
        try:
            gather({}, environment=environment)
        except finch.ConfigurationError as said:
            return str(said)


@mistake("The command line", "FINCH_PROT=8000 in the environment", "did you mean FINCH_PORT?")
def a_misspelt_variable():
    return settings({"FINCH_PROT": "8000"})


@mistake("The command line", "prot = 8000 in finch.toml", "did you mean port?")
def a_misspelt_key():
    return settings({}, finch__toml="prot = 8000")


@mistake("The command line", "port = '8000' in finch.toml", "write port = 8000")
def a_number_in_quotes():
    return settings({}, finch__toml="port = '8000'")


@mistake("The command line", "FINCH_SERVICE_HOST, set by Kubernetes", "enableServiceLinks: false")
def a_service_named_finch():
    return settings({"FINCH_SERVICE_HOST": "10.0.0.1"})


@mistake("The command line", "finch.run(app) at the end of app.py", '__name__ == "__main__"')
def run_without_a_guard():
    return find("app", app=f"import finch\n{APP}finch.run(app)\n")


@mistake("The command line", "sys.exit() at the end of app.py", '__name__ == "__main__"')
def exit_without_a_guard():
    return find("app", app=f"import sys\n{APP}sys.exit()\n")


# finch.run and finch.serve


def serve(app, **options):
    trio.run(partial(finch.serve, app, **options))


@mistake("Serving", "asyncio.run(finch.serve(app))", "finch.run(app)", "trio.run(")
def serve_under_asyncio():
    asyncio.run(finch.serve(FinchApp()))


@mistake("Serving", "finch.run(app) in an async def of asyncio", "without asyncio.run")
def run_under_asyncio():
    async def main():
        finch.run(FinchApp())

    asyncio.run(main())


@mistake("Serving", "finch.run(app) in an async def of trio", "await finch.serve(app)")
async def run_under_trio():
    finch.run(FinchApp())


@mistake("Serving", "finch.run(app, prot=80)", "'prot'", "did you mean port?")
def a_misspelt_option():
    finch.run(FinchApp(), prot=80)


@mistake("Serving", "finch.run(app, reload=True)", "'reload'", "host, port")
def an_option_of_others():
    finch.run(FinchApp(), reload=True)


@mistake("Serving", "finch.run(app, workers=4)", "python -m finch app:app --workers 4")
def workers_of_one_process():
    finch.run(FinchApp(), workers=4)


@mistake("Serving", 'finch.run(app, port="8080")', "port=8080")
def a_port_as_text():
    finch.run(FinchApp(), port="8080")


@mistake("Serving", 'finch.run(app, host=os.environ.get("HOST"))', "'127.0.0.1'", "None")
def no_host():
    finch.run(FinchApp(), host=None)


@mistake("Serving", 'finch.run(app, fd="3")', "fd", "'3'")
def a_descriptor_as_text():
    finch.run(FinchApp(), fd="3")


@mistake("Serving", "finch.run(app, forwarded_allow_ips=None)", "forwarded_allow_ips", "None")
def nobody_to_believe():
    finch.run(FinchApp(), forwarded_allow_ips=None)


@mistake("Serving", "finch.run(FinchApp)", "app = FinchApp()")
def the_class():
    finch.run(FinchApp)


@mistake("Serving", 'finch.run("app:app")', "'app:app'", "import")
def the_name():
    finch.run("app:app")


@mistake("Serving", "finch.run(create_app)", "create_app()")
def the_factory():
    def create_app():
        return FinchApp()

    finch.run(create_app)
