"""One target under atheris: libFuzzer keeps what reaches new code and breaks it further.

python -m tests.fuzz.guided TARGET SECONDS SEED

A seed of 0 is another one each time.
What it learnt stays below ``corpus`` for the next time. libFuzzer ends the process at the first
failure and leaves the input below ``findings``, where ``python -m tests.fuzz`` takes it from.
"""

import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["finch", "h11", "wsproto"]):
    from tests.fuzz import inputs
    from tests.fuzz.targets import FINDINGS, FOLDER, PATIENCE, REGRESSIONS, TARGETS

_SEEDS = 300  # valid inputs to begin with
_LONGEST = 4096  # bytes


def main() -> None:
    """Fuzz until the time is over or something is found. Does not return."""
    target, seconds = TARGETS[sys.argv[1]], float(sys.argv[2])
    corpus = FOLDER / "corpus" / target.name
    corpus.mkdir(parents=True, exist_ok=True)
    random = Random(target.name)
    for number in range(_SEEDS):
        (corpus / f"seed-{number}").write_bytes(target.valid(random))

    def mutate(data: bytes, longest: int, seed: int) -> bytes:
        chance = Random(seed)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, longest))
        return inputs.broken(data, chance, target.valid(chance))[:longest]

    options = [
        f"-max_total_time={max(1, int(seconds))}",
        f"-seed={sys.argv[3]}",
        f"-max_len={_LONGEST}",
        f"-timeout={int(PATIENCE)}",
        f"-artifact_prefix={FINDINGS / target.name}/",
        "-print_final_stats=1",
        str(corpus),
    ]
    known = REGRESSIONS / target.name
    if known.is_dir():
        options.append(str(known))
    atheris.Setup([sys.argv[0], *options], target.function, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
