"""SARIF, JUnit XML and HTML of real changes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from defusedxml.ElementTree import fromstring
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it ships no types

from gates import reports
from gates.catalogue import catalogue
from gates.runner import Judged, judge
from gates.testing import junit
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable, passed
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.gates.conftest import MakeCase

SUBSET = Path(__file__).parent / "data" / "sarif-2.1.0-subset.json"
CSS = Path(reports.__file__).with_name("report.css")
HOSTILE = "\"'</script><script>alert(1)</script><img src=//evil.example/x> \u202e \x1b[2J \udcff {{ 7 * 7 }}"
NEED = Need(kind="size", subject="src/a.py", bound="9")
LONG = Finding(
    rule="size.lines", message="src/a.py has 9 lines", path="src/a.py", line=2, limit="3", actual="9", need=NEED
)
ODD = Finding(rule="scope.outside", message=HOSTILE, path='src/sp ace%"\udcff:b.py', limit=HOSTILE, actual="modified")


def results(**verdicts: Verdict) -> tuple[Judged, ...]:
    return tuple(Judged(name=name, verdict=said, cached=False, seconds=0.25) for name, said in verdicts.items())


MIXED = results(
    scope=judged([ODD], otherwise=""),
    size=judged([LONG], otherwise=""),
    checks=inconclusive("the tool is missing"),
    tests=replace(passed("granted: G-0001 by Ada"), findings=(replace(LONG, rule="tests.removed", granted="G-0001"),)),
    smoke=not_applicable("the ticket has no smoke run"),
)


@pytest.fixture
def build(make_case: MakeCase) -> Any:
    def one(judgements: tuple[Judged, ...], stage: str = "worktree", attempt: int = 1) -> dict[str, Any]:
        base, change = {"src/a.py": "a\nb\nc\n"}, {"src/a.py": f"a\nB{HOSTILE[:60]}\nc\n"}
        return reports.build(make_case(base, change, ticket={}, stage=stage, attempt=attempt), judgements)

    return one


def real(make_case: MakeCase) -> dict[str, Any]:
    """A change that the real scope and size gates refuse."""
    body = "".join(f"    x = {at}\n" for at in range(50))
    change = {"src/a.py": f"def f():\n{body}", "other.py": "y = 2\n"}
    case = make_case({"src/a.py": "a = 1\n", "other.py": "y = 1\n"}, change, ticket={"scope": {"write": ["src/*"]}})
    gates = {name: gate for name, gate in catalogue().items() if name in {"scope", "size", "denylist"}}
    return reports.build(case, judge(case, gates))


# SARIF


def sarif(report: dict[str, Any]) -> dict[str, Any]:
    document = json.loads(reports.render_sarif(report))
    errors = Draft7Validator(json.loads(SUBSET.read_text(encoding="utf-8"))).iter_errors(document)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []
    run: dict[str, Any] = document["runs"][0]
    ids = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(ids) == len(set(ids))
    assert all(ids[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    return run


def test_sarif_is_valid_and_says_what_was_found_how_bad_and_where(build: Any) -> None:
    run = sarif(build(MIXED))
    said = {result["ruleId"]: result["level"] for result in run["results"]}
    assert said == {"scope.outside": "error", "size.lines": "error", "checks": "warning", "tests.removed": "note"}
    long = next(result for result in run["results"] if result["ruleId"] == "size.lines")
    place = long["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "src/a.py", "uriBaseId": "SRCROOT"}
    assert place["region"] == {"startLine": 2}
    assert "Allowed: 3; found: 9." in long["message"]["text"]
    assert run["automationDetails"]["id"] == "signalbox/T-0001/worktree/attempt-1"
    assert (run["tool"]["driver"]["name"], list(run["originalUriBaseIds"])) == ("Signalbox", ["SRCROOT"])


def test_sarif_names_a_path_byte_by_byte(build: Any) -> None:
    odd = next(result for result in sarif(build(MIXED))["results"] if result["ruleId"] == "scope.outside")
    assert odd["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "src/sp%20ace%25%22%FF%3Ab.py"


def test_sarif_says_that_a_gate_could_not_judge(build: Any) -> None:
    invocation = sarif(build(MIXED))["invocations"][0]
    assert invocation["executionSuccessful"] is False
    notes = invocation["toolExecutionNotifications"]
    assert ["the tool is missing" in note["message"]["text"] for note in notes] == [True]
    assert sarif(build(results(size=passed("fine"))))["invocations"][0]["executionSuccessful"] is True


def test_sarif_marks_what_was_permitted_as_suppressed(build: Any) -> None:
    lifted = [result for result in sarif(build(MIXED))["results"] if "suppressions" in result]
    assert [result["ruleId"] for result in lifted] == ["tests.removed"]


def test_a_finding_keeps_its_fingerprint_when_lines_shift(build: Any) -> None:
    def prints(*findings: Finding) -> list[str]:
        run = sarif(build(results(size=judged(findings, otherwise=""))))
        return [result["partialFingerprints"]["signalboxFinding/v1"] for result in run["results"]]

    shifted = replace(LONG, line=40, message="src/a.py has 47 lines")
    elsewhere = replace(LONG, path="src/b.py")
    assert prints(LONG) == prints(shifted)
    assert len({*prints(LONG), *prints(elsewhere)}) == 2
    assert len(set(prints(LONG, shifted))) == 2


def test_sarif_of_a_change_that_real_gates_refused(make_case: MakeCase) -> None:
    run = sarif(real(make_case))
    assert {"scope.outside", "size.function-lines"} <= {result["ruleId"] for result in run["results"]}
    outside = next(rule for rule in run["tool"]["driver"]["rules"] if rule["id"] == "scope.outside")
    assert "you may change `src/*`" in outside["help"]["text"]


# JUnit XML


def test_junit_has_a_case_for_each_gate_and_readers_believe_its_totals(build: Any) -> None:
    text = reports.render_junit(build(MIXED))
    states = {result.id: result.state for result in junit.read(text.encode(), [])}
    assert states == {
        "signalbox.worktree::scope": "failed",
        "signalbox.worktree::size": "failed",
        "signalbox.worktree::checks": "error",
        "signalbox.worktree::tests": "passed",
        "signalbox.worktree::smoke": "skipped",
    }


def test_junit_says_what_failed_and_what_was_judged(build: Any) -> None:
    report = build(MIXED)
    root = fromstring(reports.render_junit(report).encode())
    failure = root.find("testsuite/testcase[@name='size']/failure")
    assert failure is not None
    assert "src/a.py:2: src/a.py has 9 lines" in (failure.text or "")
    properties = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert (properties["tree"], properties["verdict"]) == (report["tree"], "fail")
    assert [case.get("time") for case in root.iter("testcase")] == ["0.250"] * 5


# HTML


VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in turn."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self, *tags: str) -> str:
        words = " ".join(data for tag, data in self.texts if tag != "style" and (not tags or tag in tags))
        return " ".join(words.split())

    def attributes(self, name: str) -> Iterator[str]:
        return (str(attributes[name]) for _, attributes in self.tags if name in attributes)


@pytest.fixture
def page(build: Any) -> Page:
    return Page(reports.render_html(build(MIXED)))


def test_a_page_needs_nothing_but_itself(page: Page) -> None:
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & {tag for tag, _ in page.tags}
    assert not list(page.attributes("src"))
    assert all(target.startswith("#") for target in page.attributes("href"))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|@font-face", CSS.read_text(encoding="utf-8"))


def test_what_an_agent_wrote_is_text_on_the_page(page: Page) -> None:
    assert "<script>alert(1)</script><img src=//evil.example/x>" in page.text()
    assert "{{ 7 * 7 }}" in page.text()


def test_every_link_of_a_page_leads_somewhere_and_no_id_is_used_twice(page: Page) -> None:
    ids = list(page.attributes("id"))
    assert len(ids) == len(set(ids))
    assert {target.removeprefix("#") for target in page.attributes("href")} <= set(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)


def test_a_page_can_be_found_through_by_its_headings_and_landmarks(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {"header", "nav", "main", "footer"} <= {tag for tag, _ in page.tags}
    assert page.tags[0] == ("html", {"lang": "en"})


def test_the_page_says_first_what_was_refused_why_and_what_to_type(build: Any) -> None:
    text = Page(reports.render_html(build(MIXED))).text()
    told = ("T-0001 was refused", "src/a.py has 9 lines", "allowed 3", "found 9", "orchestrate tickets retry T-0001")
    assert max(text.index(words) for words in told) < text.index("2 of 5 passed")


@pytest.mark.parametrize(
    ("said", "heading"),
    [
        (passed("fine"), "T-0001 passed every gate"),
        (inconclusive("who knows"), "T-0001 could not be judged"),
    ],
)
def test_the_heading_is_the_verdict_in_words(build: Any, said: Verdict, heading: str) -> None:
    assert heading in Page(reports.render_html(build(results(size=said)))).text("h1")


def test_a_finding_stands_under_its_line(build: Any) -> None:
    html = reports.render_html(build(MIXED))
    row = html.index('id="file-1-line-2"')
    assert row < html.index("src/a.py has 9 lines", row) < html.index('<td class="code">c</td>', row)
    assert 'href="#file-1-line-2"' in html


def test_what_a_person_could_permit_and_did_permit_is_on_the_page(page: Page, build: Any) -> None:
    assert "could be permitted as size: src/a.py" in page.text()
    assert "A person is only asked once nothing else blocks: scope, checks first." in page.text()
    assert "permitted by G-0001" in page.text()
    alone = Page(reports.render_html(build(results(size=judged([LONG], otherwise="")))))
    assert "orchestrate approve ID --reason WHY permits it" in alone.text()


def test_both_passes_stand_side_by_side_and_attempts_below_each_other(build: Any) -> None:
    first = build(MIXED)
    second = build(results(size=passed("fine")), attempt=2)
    merged = build(results(size=judged([LONG], otherwise="")), "integrated", 2)
    page = Page(reports.render_html(merged, [first, second, merged]))
    assert re.search(r"size \S passed fine \S refused src/a.py has 9 lines", page.text())
    marked = [attributes for tag, attributes in page.tags if tag == "tr" and attributes.get("aria-current") == "true"]
    assert len(marked) == 1
    assert "Both passes" not in Page(reports.render_html(first, [first, second, merged])).text("h2")


def test_a_page_of_a_change_that_real_gates_refused(make_case: MakeCase) -> None:
    text = Page(reports.render_html(real(make_case))).text()
    for words in ("other.py is outside the ticket's scope", "at most 30 are allowed", "you may change `src/*`"):
        assert words in text, words


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", css))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, two: str) -> float:
    dim, bright = sorted((luminance(one), luminance(two)))
    return (bright + 0.05) / (dim + 0.05)


def test_every_text_has_enough_contrast_in_light_and_in_dark() -> None:
    light, dark = CSS.read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")
    for scheme in (colours(light), colours(dark)):
        grounds = [name for name in scheme if name in {"paper", "added", "deleted"} or name.endswith("wash")]
        pairs = [(ink, ground) for ink in ("ink", "soft") for ground in grounds]
        pairs += [(ink, ground) for ink in ("link", "fail", "pass", "unsure") for ground in ("paper", "wash")]
        pairs += [(ink, f"{ink}-wash") for ink in ("fail", "pass", "unsure")]
        pairs += [("unsure", "fail-wash")]  # what a person could permit, inside a note
        assert len(grounds) == 7
        assert [pair for pair in pairs if contrast(scheme[pair[0]], scheme[pair[1]]) < 4.5] == []
