"""`orchestrate report`: every format of a ticket that was refused once and then landed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from defusedxml.ElementTree import fromstring

from demo_project import demo_in, home_in, script, ticket, writes

if TYPE_CHECKING:
    from demo_project import Demo

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """For tests that only look at it: landing takes seconds, so they share one."""
    folder = tmp_path_factory.mktemp("landed")
    demo = demo_in(folder, home_in(folder))
    tickets = [ticket("a", new="src/a.py", accept="import a; assert a.X == 1")]
    tries = [writes("src/a.py", "X = 2\n"), writes("src/a.py", "X = 1\n")]
    demo.commit(**{"script.yaml": script(tickets, {"add a": tries})})
    assert demo.feature("x", exits=0)["tickets"][0]["attempts"] == 2
    return demo


def test_a_report_comes_in_every_format_and_of_the_attempt_and_pass_that_is_asked_for(landed: Demo) -> None:
    def report(*options: str) -> str:
        return landed.orchestrate("report", "T-0001", *options, exits=0).stdout

    assert report().startswith("T-0001 attempt 2, integrated pass: every gate passed\n")
    assert report("--attempt", "1").startswith("T-0001 attempt 1, worktree pass: refused\n")
    markdown = report("--format", "md", "--pass", "worktree")
    assert markdown.startswith("# T-0001 attempt 2, worktree pass: every gate passed\n")
    assert json.loads(report("--format", "sarif", "--attempt", "1"))["runs"][0]["results"][0]["level"] == "error"
    assert fromstring(report("--format", "junit").encode()).get("failures") == "0"
    page = report("--format", "html")
    assert page.startswith("<!doctype html>")
    assert "Both passes" in page


def test_a_report_that_is_not_there_or_of_no_known_format_is_one_clear_error(landed: Demo) -> None:
    missing = landed.orchestrate("report", "T-0001", "--attempt", "7", exits=2)
    assert "T-0001 has no such report yet (landed" in missing.stderr
    unknown = landed.orchestrate("report", "T-0001", "--format", "pdf", exits=2)
    assert "--format is one of text, md, json, sarif, junit, html, not 'pdf'" in unknown.stderr
