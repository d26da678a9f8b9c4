"""The gate report and its views: text, Markdown, JSON, SARIF, JUnit XML and one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gates.reports.document import build, render_json, sha256
from gates.reports.junit_xml import render_junit
from gates.reports.markdown import render_markdown
from gates.reports.page import render_html
from gates.reports.sarif import render_sarif
from gates.reports.text import render_text
from gates.reports.words import SHOWN, Report, finding_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Renderer = Callable[[Report, Sequence[Report]], str]

__all__ = [
    "FORMATS",
    "SHOWN",
    "Report",
    "build",
    "finding_line",
    "render_html",
    "render_json",
    "render_junit",
    "render_markdown",
    "render_sarif",
    "render_text",
    "sha256",
]

FORMATS: dict[str, Renderer] = {
    "text": render_text,
    "md": render_markdown,
    "json": lambda report, _history: render_json(report),
    "sarif": lambda report, _history: render_sarif(report),
    "junit": lambda report, _history: render_junit(report),
    "html": render_html,
}
"""Each is given a report and all reports of its ticket, the oldest first."""
