"""`selftest`: does every rule refuse what it must refuse, and which of them are not armed here."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from orchestrator import selftest as engine
from orchestrator.commands.output import say, table
from tickets.errors import InputError
from worktrees.levels import available

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.selftest import Result
    from tickets.policy import Policy


def selftest(repo: Path, *, json: bool) -> int:
    begun = time.monotonic()
    results = list(engine.gates(available()))
    levels = engine.levels()
    for level, trouble in levels:
        if not trouble:
            results += [engine.sandbox(level), engine.whole_way(level)]
    unarmed = [
        *(f"sandbox {level}: {trouble}" for level, trouble in levels if trouble),
        *(f"{one.part}: not installed: {', '.join(one.missing)}" for one in results if one.missing),
        *_unarmed(repo),
    ]
    failed = any(result.wrong for result in results)
    seconds = round(time.monotonic() - begun, 1)
    data = {"ok": not failed, "results": [asdict(result) for result in results], "unarmed": unarmed, "seconds": seconds}
    say(data, lambda: _text(results, unarmed, seconds), as_json=json)
    return 1 if failed else 0


def _text(results: list[Result], unarmed: list[str], seconds: float) -> str:
    rows: list[tuple[str, ...]] = [
        (_mark(one), one.part, f"{one.tried - len(one.wrong)} of {one.tried}", f"{one.seconds:.1f} s")
        for one in results
    ]
    wrong = [f"  {line}" for one in results for line in one.wrong]
    lines = [table(rows), *(["", "wrong:", *wrong] if wrong else [])]
    if unarmed:
        lines += ["", "not armed here:", *(f"  {line}" for line in unarmed)]
    tried = sum(one.tried for one in results)
    verdict = "NOT every rule refuses what it must" if wrong else "every rule refuses what it must"
    return "\n".join([*lines, "", f"{verdict}: {tried} cases in {seconds:g} s"])


def _mark(result: Result) -> str:
    return "NO" if result.wrong else "ok"


def _unarmed(repo: Path) -> Iterator[str]:
    """Say which rules have nothing to go by in this repository."""
    from orchestrator.workspace import Workspace

    try:
        workspace = Workspace.open(repo)
        head = workspace.head()
    except InputError as error:
        yield f"this repository: {error}"
        return
    yield from _without(workspace.policy)
    rates = workspace.policy.cost.rates
    if not workspace.repository.read(head, rates):
        yield f"cost: there is no rate card {rates}; paid compute cannot be priced, so it is never started"


def _without(policy: Policy) -> Iterator[str]:
    if not policy.tests.run:
        yield "tests: no test command (run under [tests])"
    if not policy.checks:
        yield "checks: no [[checks]]"
    if not policy.scope.shared_interfaces:
        yield "interfaces: no path is named (shared_interfaces under [scope])"
    if "auditor" not in policy.roles and policy.audit.when != "never":
        yield "audit: nobody plays the auditor (auditor under [roles])"
    if policy.sandbox.mode == "none":
        yield 'sandbox: switched off (mode = "none" under [sandbox])'
