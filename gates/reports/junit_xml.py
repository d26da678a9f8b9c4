"""The report as JUnit XML, for CI: each gate is a test case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from gates.reports.words import Report, finding_line, headline, permission, presentable

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_APPLICABLE = "not applicable"
_FACTS = ("ticket", "attempt", "pass", "base", "tree", "verdict", "policy_sha256", "ticket_sha256")


def render_junit(report: Report) -> str:
    """Write one suite; in ASCII, so that no console can garble what its first line promises."""
    report = presentable(report)
    suite = ET.Element("testsuite", name=headline(report).rpartition(":")[0])
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(report):
        ET.SubElement(properties, "property", name=name, value=value)
    for gate in report["gates"]:
        _case(suite, gate, report["pass"])
    _count(suite, report)
    root = ET.Element("testsuites", {**suite.attrib, "name": "Signalbox"})
    root.append(suite)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=True)
    return written.decode("ascii")


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield from ((name, str(report[name])) for name in _FACTS if report[name] is not None)
    yield from ((f"environment.{name}", str(value)) for name, value in report["environment"].items())


def _case(suite: ET.Element, gate: dict[str, Any], stage: str) -> None:
    about = {"classname": f"signalbox.{stage}", "name": gate["name"], "time": f"{gate['seconds']:.3f}"}
    case = ET.SubElement(suite, "testcase", about)
    if gate["verdict"] != "pass":
        tag = "failure" if gate["verdict"] == "fail" else "error"
        ET.SubElement(case, tag, message=gate["reason"], type=gate["verdict"]).text = _details(gate)
    elif gate["reason"].startswith(NOT_APPLICABLE):
        ET.SubElement(case, "skipped", message=gate["reason"])
    if logs := [f"{receipt['command']}: {receipt['log']}" for receipt in gate["receipts"]]:
        ET.SubElement(case, "system-out").text = "\n".join(logs)


def _details(gate: dict[str, Any]) -> str:
    said = ((finding_line(finding), permission(finding)) for finding in gate["findings"])
    return "\n".join([gate["reason"], *("; ".join(part for part in parts if part) for parts in said)])


def _count(suite: ET.Element, report: Report) -> None:
    """Fill in the totals that readers hold the cases against."""
    suite.set("tests", str(len(report["gates"])))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("time", f"{sum(gate['seconds'] for gate in report['gates']):.3f}")
    suite.set("timestamp", report["created_at"].removesuffix("+00:00"))
