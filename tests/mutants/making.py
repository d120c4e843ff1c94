"""The mutants of a module. cosmic-ray's operators make them; here is which of them are worth it."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cosmic_ray.plugins
import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator


class RemoveStatement(Operator):
    """Leaves out a call, an assignment to an attribute or item, a return, a raise or a del.

    cosmic-ray has no such operator, and a line that no test misses is the commonest survivor. An
    assignment to a name stays: without it the next line raises NameError, which says nothing.
    """

    def mutation_positions(self, node):
        if node.type == "simple_stmt" and self._counts(node.children[0]):
            yield node.start_pos, node.children[0].end_pos

    def mutate(self, node, index):
        statement = node.children[0]
        node.children[0] = parso.parse(statement.get_first_leaf().prefix + "pass")
        return node

    @staticmethod
    def _counts(statement):
        if statement.type == "expr_stmt":
            target, sign = statement.children[:2]
            is_name = "atom_expr" not in [node.type for node in ast_nodes(target)]
            return not is_name or (sign.type == "operator" and sign.value != "=")
        if statement.type == "atom_expr":
            return True
        return statement.type in ("return_stmt", "raise_stmt", "del_stmt")

    @classmethod
    def examples(cls):
        return ()


_OWN = {"finch/RemoveStatement": RemoveStatement}


@dataclass(frozen=True)
class Mutant:
    """One small change of one module."""

    module: str
    function: str
    operator: str
    occurrence: int
    lines: tuple[int, int]
    """The first and the last line of the statement, or of its condition, that is changed."""
    before: str
    after: str
    nth: int = 1
    """Of those in this function that look the same."""

    @property
    def source(self):
        """The module's text with the change."""
        return mutate_code(Path(self.module).read_text(), _operator(self.operator), self.occurrence)

    @property
    def key(self):
        """What says that it is the same mutant, however the lines above it have moved."""
        return self.module, self.function, self.before, self.after, self.nth

    def rank(self, seed):
        """Its place in the sample of a seed: chance, but the same every time."""
        said = repr((seed, self.operator, self.module, self.function, self.before, self.after))
        return hashlib.sha256(said.encode()).digest()

    def __str__(self):
        return (
            f"{self.module}:{self.lines[0]} in {self.function or 'the module'}\n"
            f"    - {self.before}\n    + {self.after}"
        )


def mutants_of(module, operators):
    """All mutants of a module that are worth a test run."""
    source = Path(module).read_text()
    tree = parso.parse(source)
    found = []
    alike = Counter()
    for name in operators:
        operator = _operator(name)
        places = (
            (node, start)
            for node in ast_nodes(tree)
            for start, _ in operator.mutation_positions(node)
        )
        for occurrence, (node, start) in enumerate(places):
            if _is_idle(node, start):
                continue
            try:
                changed = mutate_code(source, operator, occurrence)
            except AttributeError:  # ExceptionReplacer takes no dotted names in a tuple
                continue
            before, after = _difference(source, changed)
            look = (_function(node), before, after)
            alike[look] += 1
            lines = _extent(node, start)
            found.append(
                Mutant(module, look[0], name, occurrence, lines, before, after, alike[look])
            )
    return found


def _operator(name):
    return (_OWN.get(name) or cosmic_ray.plugins.get_operator(name))()


def _difference(before, after):
    """The lines that differ, each side in one."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return " ".join(" ".join(old).split()), " ".join(" ".join(new).split())


def _above(node):
    while node is not None:
        yield node
        node = node.parent


def _is_idle(node, start):
    """Whether nothing runs here: an annotation, an import for the type checker, a list of names."""
    for inner in _above(node):
        outer = inner.parent
        if outer is None:
            break
        if outer.type == "annassign" and inner is outer.children[1]:
            return True
        if outer.type == "tfpdef" and inner is outer.children[2]:
            return True
        if outer.type == "funcdef" and inner is outer.annotation:
            return True
        if outer.type == "if_stmt" and "TYPE_CHECKING" in outer.children[1].get_code():
            return True
        if outer.type == "expr_stmt" and outer.children[0].get_code().strip() in (
            "__slots__",
            "__all__",
        ):
            return True
    return False


def _function(node):
    names = [n.name.value for n in _above(node) if n.type in ("funcdef", "classdef")]
    return ".".join(reversed(names))


_COMPOUND = ("if_stmt", "while_stmt", "for_stmt", "with_stmt", "try_stmt", "funcdef", "classdef")


def _extent(node, start):
    """The lines that are run when this place is: those of its statement, without what is inside."""
    inner = node
    for outer in _above(node):
        if outer.type == "simple_stmt":
            return outer.start_pos[0], outer.children[0].end_pos[0]
        if outer.type in _COMPOUND:
            if inner is outer:  # the operator was given the whole statement
                inner = next(c for c in outer.children if c.start_pos <= start < c.end_pos)
            at = outer.children.index(inner)
            first = inner.start_pos[0]
            while at > 0 and outer.children[at].type != "keyword":
                at -= 1
                first = outer.children[at].start_pos[0]
            return first, inner.end_pos[0]
        inner = outer
    return start[0], start[0]
