from __future__ import annotations

import pytest

from tickets.vacuous import cannot_fail


@pytest.mark.parametrize(
    "run",
    [
        "pytest || true",
        "pytest ||:",
        "pytest ; exit 0",
        "pytest;true",
        "pytest && true || true",
        "pytest || echo failed",
        "pytest 2>&1 || printf x",
        "pytest\nexit 0",
        "pytest; set +e",
        "set +e\npytest\necho done",
        "true",
        ":",
        "exit 0",
        "echo ok",
        "FOO=1 true",
        "env A=b true",
        "set -e; true",
        "pytest | tee log",
        "pytest 2>&1 | tail -5",
        "pytest &",
        "trap 'exit 0' EXIT; pytest",
        "python -m ruff check . --exit-zero",
        "uv run flake8 --exit-zero",
        "pytest --collect-only -q",
        ("true",),
        ("/bin/true",),
        ("sh", "-c", "pytest || true"),
        ("bash", "-lc", "pytest; exit 0"),
        ("sh", "-ec", "true"),
        ("pylint", "--exit-zero", "src"),
    ],
)
def test_what_never_fails_is_told(run: str | tuple[str, ...]) -> None:
    assert cannot_fail(run)


@pytest.mark.parametrize(
    "run",
    [
        "pytest",
        "pytest && echo ok",
        "echo a && pytest",
        "pytest | grep -q passed",
        "set -o pipefail; pytest | tee log",
        "set -e; pytest; echo done",
        "set -o errexit; pytest; true",
        "pytest; [ $? -eq 0 ]",
        "test -f a || exit 1",
        "false || pytest",
        "exit 1",
        "exit",
        "! pytest",
        "if true; then x; fi",
        "(pytest || true)",
        "for f in a; do true; done",
        "pytest 2>&1",
        "pytest &> log",
        "pytest # || true",
        "python -c 'print(1) or True'",
        "grep 'a || true' f",
        "cat f | sort -c",
        "cat a",
        "echo 'unclosed",
        "myapp --exit-zero",
        ("sh", "gate.sh"),
        ("sh", "-ec", "pytest; echo done"),
        ("bash", "-o", "pipefail", "-c", "pytest | tee x"),
        ("python", "-c", "x || true"),
        ("ruff", "check", "."),
    ],
)
def test_what_may_fail_is_left_alone(run: str | tuple[str, ...]) -> None:
    assert cannot_fail(run) == ""
