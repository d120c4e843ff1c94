"""Mistakes in routes and their paths."""

from finch import FinchApp
from tests.mistakes.book import mistake


@mistake("Routes", '@app.get("birds")', "'/birds'")
def a_path_without_its_slash():
    @FinchApp().get("birds")
    async def birds(request): ...
