"""Draws the house from the imports of its modules, into ``docs/architecture.md``.

``python -m tests.house`` writes the page anew; ``test_layers.py`` holds it against the code.
"""

import ast
from pathlib import Path

from tests.test_layers import HOUSE, MODULES, imports

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"
BEGIN = "<!-- made by: python -m tests.house -->\n"
END = "<!-- end -->\n"
TITLES = {
    "": "finch/",
    "wire": "finch/wire/",
    "net": "finch/net/",
    "http": "finch/http/",
    "guards": "finch/guards/",
    "cluster": "finch/cluster/",
    "sockets": "finch/sockets/",
    "sessions": "finch/sessions/",
    "client": "finch/client/",
    "loading": "finch/loading/",
    "describe": "finch/describe/",
    "commands": "finch/commands/",
    "testing": "finch/testing/",
}


def owns(tree):
    """The first sentence of a module's docstring."""
    first = ast.get_docstring(tree).split("\n\n")[0]
    return " ".join(first.split()).replace("|", "\\|")


def needs(name, tree):
    """The folders, and the modules of its own folder, that a module imports."""
    folder = name.rpartition(".")[0]
    found = {}
    for module in imports(tree):
        if module.startswith("finch."):
            other = module.removeprefix("finch.")
            if other in MODULES:
                theirs, _, last = other.rpartition(".")
                label = last if theirs == folder else theirs or "base"
                found[label] = None
    return ", ".join(sorted(found))


def drawing():
    """The house, from the top floor down: each module, what it owns, and what it stands on."""
    lines = []
    runs = []
    for name in HOUSE:
        folder = name.rpartition(".")[0]
        if not runs or runs[-1][0] != folder:
            runs.append((folder, []))
        runs[-1][1].append(name)
    for folder, names in reversed(runs):
        base = folder == "" and names[0] == HOUSE[0]
        title = TITLES[folder] + (" (the base: what everybody may use)" if base else "")
        lines += [f"### {title}", "", "| module | what it owns | stands on |", "|---|---|---|"]
        for name in reversed(names):
            tree = ast.parse(MODULES[name].read_text())
            last = name.rpartition(".")[2]
            lines.append(f"| `{last}` | {owns(tree)} | {needs(name, tree)} |")
        lines.append("")
    return "\n".join(lines)


def redrawn(page):
    """The page with the drawing as it is now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + drawing() + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(redrawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
