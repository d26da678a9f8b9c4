"""`metrics`: figures of two formulas are never compared. A changed metric has a new version, a migration and a changelog line.

Judged are the files of [metrics] definitions; what they import from elsewhere is not followed.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gates.protocol import Case, Gate
from gates.source.definitions import Definition, definitions
from gates.source.python_code import REGULAR, base_trees, changed_files
from gates.verdict import Finding, Verdict, judged, not_applicable
from tickets.globs import matches
from tickets.grants import Need

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tickets.model import Ticket
    from tickets.policy import Policy


def rule(_ticket: Ticket, policy: Policy) -> str:
    settings = policy.metrics
    files, migrations = (
        ", ".join(f"`{glob}`" for glob in globs) for globs in (settings.definitions, settings.migrations)
    )
    return "\n".join(
        [
            f"- a metric in {files} whose formula, unit or direction changes gets a higher `version`,",
            f"  a migration ({migrations}, where there are some) and a line in {settings.changelog} that names it",
            "- no metric is removed or renamed, and no version is lowered; new metrics are free",
        ]
    )


def verify(case: Case) -> Verdict:
    globs = case.policy.metrics.definitions
    if not any(matches(path, globs) for one in case.change.landing for path in one.paths):
        return not_applicable("no metric definition is touched")
    before, after = _before(case), _after(case)
    changed = [(was, after[name]) for name, was in before.items() if name in after and _is_changed(was, after[name])]
    found = [_removed(was) for name, was in before.items() if name not in after]
    found += [finding for was, now in changed for finding in _versions(was, now)]
    anew = [now for was, now in changed if was.meaning != now.meaning]
    found += [*_migrations(case, anew), *_changelog(case, anew)]
    names = ", ".join(one.name for one in anew)
    return judged(found, otherwise=f"changed with version and records: {names}" if names else "no metric was changed")


def _is_changed(was: Definition, now: Definition) -> bool:
    return (was.meaning, was.number) != (now.meaning, now.number)


def _before(case: Case) -> dict[str, Definition]:
    """Give the definitions at the base, without those whose file is no Python any more: that is the finding of `size`."""
    globs = case.policy.metrics.definitions
    readable = {file.before_path for file in changed_files(case)}
    unreadable = {one.old_path or one.path for one in case.change.landing if one.kind in REGULAR} - readable
    files = [(path, tree) for path, tree in base_trees(case) if matches(path, globs) and path not in unreadable]
    return {one.name: one for path, tree in files for one in definitions(path, tree)}


def _after(case: Case) -> dict[str, Definition]:
    files = [file for file in changed_files(case) if matches(file.path, case.policy.metrics.definitions)]
    return {one.name: one for file in files for one in definitions(file.path, file.tree)}


def _removed(was: Definition) -> Finding:
    message = (
        f"{was.path}: the metric {was.name} (version {was.version}) is gone; figures that were recorded lose their meaning: "
        "keep it, and add the other one beside it"
    )
    return _finding("removed", was, message, actual="gone")


def _versions(was: Definition, now: Definition) -> Iterator[Finding]:
    if now.number < was.number:
        message = f"{now.path}: the version of {now.name} was lowered from {was.version} to {now.version or 'nothing'}; versions only go up"
        yield _finding("version", now, message, actual=now.version)
    elif now.meaning != was.meaning and now.number == was.number:
        message = f"{now.path}: {now.name} changed and still has version {was.version}; raise its version, so that old and new figures stay apart"
        yield _finding("version", now, message, actual=now.version)


def _migrations(case: Case, anew: list[Definition]) -> Iterator[Finding]:
    globs = case.policy.metrics.migrations
    if not anew or not any(matches(entry.path, globs) for entry in case.repository.entries(case.change.base)):
        return
    new = [one.path for one in case.change.landing if one.kind == "added" and matches(one.path, globs)]
    real = [path for path in new if PurePosixPath(path).stem != "__init__" and (case.read_changed(path) or "").strip()]
    for one in [] if real else anew:
        message = f"{one.path}: {one.name} changed without a migration; add one to {', '.join(globs)} that says what becomes of its figures"
        yield _finding("migration", one, message, actual="none")


def _changelog(case: Case, anew: list[Definition]) -> Iterator[Finding]:
    name = case.policy.metrics.changelog
    added = _added_lines(case, name) if anew else []
    for one in anew:
        words = r"[\s_-]+".join(re.escape(word) for word in re.split(r"[\s_-]+", one.name) if word)
        if not any(re.search(rf"(?<!\w){words}(?!\w)", line, re.IGNORECASE) for line in added):
            message = f"{one.path}: {one.name} changed, and no new line of {name} names it; say there what is different"
            yield _finding("changelog", one, message, actual="none")


def _added_lines(case: Case, name: str) -> list[str]:
    if not any(name in one.paths for one in case.change.landing):
        return []
    before = Counter((case.read_base(name) or "").splitlines())
    return [*(Counter((case.read_changed(name) or "").splitlines()) - before)]


def _finding(rule_name: str, one: Definition, message: str, *, actual: str) -> Finding:
    bound = hashlib.sha256(f"{one.meaning}\0{one.version}".encode(errors="backslashreplace")).hexdigest()
    need = Need(kind="metric", subject=f"metric {one.name} ({rule_name})", bound=bound)
    return Finding(rule=f"metrics.{rule_name}", path=one.path, line=one.line, message=message, actual=actual, need=need)


GATE = Gate(name="metrics", judges="change", rule=rule, verify=verify)
