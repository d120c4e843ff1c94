"""Mutation testing: ``python -m tests.mutants [module ...]``, or ``make mutants``.

Changes Finch in one small place, runs the tests that reach this place, and says whether one of them
fails. A mutant that no test notices has survived: a test is missing, or the mutant does the same as
the original, and ``equivalent.toml`` says why.
"""

import argparse
import hashlib
import json
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path

from tests.mutants.making import mutants_of
from tests.mutants.running import SURVIVED, TOO_LONG, UNREACHED, all_is_well, reached, verdict

_FOLDER = Path(__file__).parent
_CACHE = Path(".mutants")  # which test reaches which line


def main(arguments=None):
    """Run the command line; 1 if a mutant has survived."""
    settings = tomllib.loads((_FOLDER / "settings.toml").read_text())
    options = _options(settings, arguments)
    known = tomllib.loads((_FOLDER / "equivalent.toml").read_text()).get("equivalent", [])
    survivors = []
    scores = []
    for scope in options.module or settings["modules"]:
        folder = next((f for f in settings["tests"] if (scope + "/").startswith(f + "/")), None)
        if folder is None:
            raise SystemExit(f"{scope} is in none of {', '.join(settings['tests'])}")
        everything = _all_mutants(scope, settings["operators"]["names"])
        equivalent = _equivalents(known, scope, everything)
        sample = sorted(everything, key=lambda mutant: mutant.rank(options.seed))
        sample = sample[: options.sample] if options.sample else sample
        tests = _tests(settings, folder)
        if sample and not all_is_well(sample[0].module, _selected(tests, sample[0], 10), settings):
            raise SystemExit("the tests fail without a mutant")
        outcomes = Counter()
        begun = time.monotonic()
        for number, mutant in enumerate(sample, 1):
            if mutant.key in equivalent:
                outcomes["equivalent"] += 1
                continue
            said = verdict(mutant, _selected(tests, mutant, settings["longest"]), settings)
            outcomes[said] += 1
            if said in (SURVIVED, UNREACHED):
                survivors.append(mutant)
                print(f"{said}: {mutant}", flush=True)
            elif options.verbose:
                print(f"{said}: {mutant}", flush=True)
            if number % 25 == 0:
                passed = time.monotonic() - begun
                print(f"  {scope}: {number} of {len(sample)}, {passed:.0f} s", flush=True)
        scores.append(_score(scope, outcomes, len(everything)))
    print(f"seed {options.seed}", *scores, sep="\n")
    return 1 if survivors else 0


def _options(settings, arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("module", nargs="*", help=f"files or folders; else {settings['modules']}")
    parser.add_argument(
        "--sample", type=int, default=settings["sample"], help="of each; 0 is all (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=settings["seed"], help="(%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print each mutant")
    options = parser.parse_args(arguments)
    options.module = [module.rstrip("/") for module in options.module]
    missing = [module for module in options.module if not Path(module).exists()]
    if missing:
        parser.error(f"there is no {missing[0]}")
    return options


def _all_mutants(scope, operators):
    path = Path(scope)
    modules = sorted(path.rglob("*.py")) if path.is_dir() else [path]
    return [mutant for module in modules for mutant in mutants_of(str(module), operators)]


def _equivalents(known, scope, everything):
    """The keys of the mutants that cannot be noticed. Complains if one of them is out of date."""
    keys = {mutant.key for mutant in everything}
    found = set()
    for entry in known:
        key = tuple(entry[name] for name in ("module", "function", "before", "after"))
        key += (entry.get("nth", 1),)
        found.add(key)
        if key not in keys and (key[0] + "/").startswith(scope + "/"):
            print(f"equivalent.toml is out of date, there is no such mutant any more: {key}")
    return found


def _tests(settings, folder):
    """The tests that must notice a folder's mutants, as :func:`reached` has them."""
    finch = _digest(sorted(Path("finch").rglob("*.py")))
    _CACHE.mkdir(exist_ok=True)
    found = {}
    for place in settings["tests"][folder]:
        for file in sorted(Path(place).rglob("test_*.py")):
            below = file.relative_to(place).parts
            if any(name in settings["exclude"]["names"] for name in below):
                continue
            cached = _CACHE / f"{'.'.join(file.parts)}.json"
            now = f"{finch} {_digest([file])}"
            kept = json.loads(cached.read_text()) if cached.exists() else {}
            if kept.get("of") != now:
                print(f"  which lines does {file} reach?", flush=True)
                kept = {"of": now, "tests": reached(str(file))}
                cached.write_text(json.dumps(kept))
            for test, (seconds, lines) in kept["tests"].items():
                found[test or str(file)] = (
                    seconds,
                    {module: set(reached) for module, reached in lines.items()},
                    not test,
                )
    return found


def _digest(files):
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _selected(tests, mutant, longest):
    """The tests to run for a mutant, with the seconds that each takes: those that reach its line.
    If only imports reach it, those that reach any line of its module. First those in the folder of
    the module's own tests, then the others, the quickest first."""
    first, last = mutant.lines
    wanted = set(range(first, last + 1))
    reaching = {}
    of_module = {}
    imported = False
    for test, (seconds, lines, by_import) in tests.items():
        here = lines.get(mutant.module)
        if not here:
            continue
        if by_import:
            imported = imported or bool(here & wanted)
        else:
            of_module[test] = seconds
            if here & wanted:
                reaching[test] = seconds
    chosen = reaching
    if not chosen and imported:  # of a module that only has values, any test that imports it
        chosen = of_module or {test: tests[test][0] for test in tests if not tests[test][2]}
    total = 0.0
    selected = {}
    own = mutant.module.replace("finch/", "tests/").rpartition("/")[0] + "/"
    for test in sorted(chosen, key=lambda test: (not test.startswith(own), chosen[test])):
        total += chosen[test]
        if total > longest and selected:
            break
        selected[test] = chosen[test]
    return selected


def _score(scope, outcomes, population):
    tried = outcomes.total() - outcomes["equivalent"]
    left = outcomes[SURVIVED] + outcomes[UNREACHED]
    share = 100 * (tried - left) / tried if tried else 100
    return (
        f"{scope}: {share:.1f} % of {tried} noticed ({outcomes[TOO_LONG]} by their time); "
        f"{left} survived, {outcomes[UNREACHED]} of them on lines that no test reaches; "
        f"{outcomes['equivalent']} equivalent; the whole has {population} mutants"
    )


if __name__ == "__main__":
    sys.exit(main())
