"""Cases of the gate `tests`; each runs pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gates.example import Example

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE: dict[str, str | bytes] = {"calc.py": "def two():\n    return 2\n", "test_a.py": "from calc import two\n\n\ndef test_two():\n    assert two() == 2\n"}  # fmt: skip
# without plugins that the environment may have, and that every start of pytest would load: two seconds each time
PYTEST = (
    "python",
    "-m",
    "pytest",
    "-p",
    "no:hypothesispytest",
    "-p",
    "no:schemathesis",
    "-p",
    "no:anyio",
    "-p",
    "no:xdist",
    "-p",
    "no:timeout",
)
CALM = "classmethod(lambda cls, item, call: old(item, __import__('types').SimpleNamespace(**{**vars(call), 'excinfo': None})))"
FORGED = (
    f"import _pytest.reports as r\nold = r.TestReport.from_item_and_call\nr.TestReport.from_item_and_call = {CALM}\n"
)


def case(
    name: str, change: Mapping[str, str | None], *expects: str, undecided: str = "", options: tuple[str, ...] = ()
) -> Example:
    policy: dict[str, Any] = {"tests": {"run": [*PYTEST, *options], "timeout_s": 60}}
    return Example(
        name=name,
        base=BASE,
        change=change,
        expects=expects,
        undecided=undecided,
        policy=policy,
        runs=True,
        needs=("pytest",),
    )


CASES = (
    case("a test that fails", {"calc.py": "def two():\n    return 3\n"}, "tests.failed"),
    case("a test removed", {"test_a.py": None, "test_b.py": "def test_b():\n    pass\n"}, "tests.removed"),
    case("a test newly skipped", {"test_a.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_two():\n    pass\n"}, "tests.newly-skipped"),
    case("reports forged by the product", {"calc.py": FORGED + "def two():\n    return 3\n"}, "tests.canary"),
    case("a file that cannot be collected", {"test_a.py": "import no_such_module\n"}, "tests.collection"),
    case("a product that ends the run", {"calc.py": "import os\nos._exit(0)\n"}, undecided="no report"),
    case("no test touched", {"calc.py": "def two():\n    return 1 + 1\n"}),
    case("a test added", {"test_b.py": "def test_b():\n    assert 1\n"}),
    case("a command that stops at the first failure and selects by name", {"calc.py": "def two():\n    return 4 - 2\n"}, options=("-x", "-k", "two", "--strict-markers")),
)  # fmt: skip
