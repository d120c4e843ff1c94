"""``python -m tests.mistakes``: write ``docs/mistakes.md`` anew."""

from tests.mistakes.book import PAGE, page

PAGE.write_text(page(), encoding="utf-8")
