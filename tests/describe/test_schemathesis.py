"""schemathesis asks a real server whatever its OpenAPI allows, and what it does not: each answer is
one that the description knows."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.processes import finch

EXAMPLES = 12  # for each operation, and each of right and wrong


@pytest.fixture(scope="module")
def described():
    options = ("--port", 0, "--log-level", "warning")
    with finch("tests.describe.birds:app", *options, cwd=".") as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")


@pytest.mark.parametrize("mode", GenerationMode, ids=str)
def test_every_answer_is_described(described, mode):
    checked = []
    for found in described.get_all_operations():
        operation = found.ok()
        try:
            ask(operation, mode)
        except Unsatisfiable:  # nothing that is sent there is wrong
            assert mode is GenerationMode.NEGATIVE
        else:
            checked.append(operation.label)
    assert {"GET /birds", "POST /birds", "GET /birds/{key}"} <= set(checked)


def ask(operation, mode):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(operation.as_strategy(generation_mode=mode))
    def check(case):
        # JSON Schema takes 614.0 for an integer, and msgspec does not: so what fits the schema may
        # be refused.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()
