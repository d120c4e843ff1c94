"""The pages of the documentation, and the programs on them."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "finch/static/README.md"])


def read(name):
    """The text of a page, by its path from the root of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text, language):
    """The code of a text that is in this language, block by block."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def section(text, title):
    """What is under a heading of the second level."""
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ")[0]


def tutorial(name):
    """The two files that a reader of a tutorial has at its end: ``app.py`` and ``page.html``."""
    text = read(f"docs/tutorial-{name}.md")
    [page] = blocks(text, "html")
    markup, end, rest = page.partition("</script>")
    script = "\n".join(blocks(text, "js"))
    return "\n\n".join(blocks(text, "python")), f"{markup}\n{script}{end}{rest}"
