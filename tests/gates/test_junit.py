from __future__ import annotations

import pytest

from gates.testing.junit import Result, UnusableReportError, read

PATHS = ["tests/test_x.py", "tests/deep/test_x.py", "docs/guide.txt", "tests/test_x/notes.md"]


def suite(*cases: str, tests: int | None = None, failures: int = 0, errors: int = 0, skipped: int = 0) -> bytes:
    count = len(cases) if tests is None else tests
    head = f'<testsuite tests="{count}" failures="{failures}" errors="{errors}" skipped="{skipped}">'
    return f"<testsuites>{head}{''.join(cases)}</testsuite></testsuites>".encode()


def case(name: str, classname: str = "tests.test_x", body: str = "") -> str:
    return f'<testcase classname="{classname}" name="{name}">{body}</testcase>'


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        (case("test_a"), "tests/test_x.py::test_a"),
        (case("test_a[x::y.z]"), "tests/test_x.py::test_a[x::y.z]"),
        (case("test_a", "tests.deep.test_x.TestA.TestB"), "tests/deep/test_x.py::TestA::TestB::test_a"),
        (case("guide.txt", "docs.guide.txt"), "docs/guide.txt::guide.txt"),
        (case("it works", "elsewhere.Suite"), "elsewhere.Suite::it works"),
    ],
)
def test_ids_have_one_spelling(written: str, identity: str) -> None:
    assert read(suite(written), PATHS) == (Result(id=identity, state="passed"),)


def test_the_worst_of_two_results_of_one_test_counts() -> None:
    twice = suite(
        case("t", body="<failure message='no'/>"),
        case("t", body="<error message='no'/>"),
        tests=1,
        failures=1,
        errors=1,
    )
    assert [result.state for result in read(twice, PATHS)] == ["error"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not well-formed"),
        (suite(case("t"))[:-20], "not well-formed"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite>&a;</testsuite>', "not well-formed"),
        (b"<html/>", "no <testsuite>"),
        (suite(case("t"), tests=2), "counts 2 tests but lists 1"),
        (suite(case("t"), case("u"), tests=1), "counts 1 tests but lists 2"),
        (suite(case("t"), failures=1), "counts 1 failures but lists 0"),
        (suite(case("t", body="<failure/>")), "counts 0 failures but lists 1"),
        (suite(case("t", body="<skipped/>"), skipped=2), "counts 2 skipped but lists 1"),
        (suite(case("t")).replace(b'tests="1"', b'tests="many"'), "not a number"),
    ],
)
def test_a_report_that_contradicts_itself_is_not_used(data: bytes, why: str) -> None:
    with pytest.raises(UnusableReportError, match=why):
        read(data, PATHS)


def test_passed_subtests_are_counted_but_not_listed() -> None:
    assert read(suite(case("t"), tests=4), PATHS, subtests=True) == (Result(id="tests/test_x.py::t", state="passed"),)
