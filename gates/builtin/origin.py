"""`origin`: the code that runs in a tree is the tree's own, in child processes too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gates.protocol import Case, Gate
from gates.verdict import Finding, Verdict, inconclusive, judged, not_applicable
from worktrees.listings import listing

if TYPE_CHECKING:
    from gates.workshop import Lease, Ran
    from tickets.model import Ticket
    from tickets.policy import Policy

TIMEOUT_S = 60.0
NONE = "no Python package at the tree's import roots"
# -P would hide the very mistake that is looked for; the child asks the same question one process further down
_PROBE = """
import importlib.util, json, subprocess, sys
names, depth = json.loads(sys.argv[1]), int(sys.argv[2])
def place(name):
    spec = importlib.util.find_spec(name)
    return None if spec is None else spec.origin or list(spec.submodule_search_locations or [""])[0]
here = {name: place(name) for name in names}
child = json.loads(subprocess.check_output([sys.executable, "-c", open(sys.argv[3]).read(), sys.argv[1], "0", sys.argv[3]])) if depth else {}
print(json.dumps([here, child] if depth else here))
"""


def rule(_ticket: Ticket, _policy: Policy) -> str:
    return "Every check runs on your tree's own code; a package that would be imported from elsewhere is refused."


def verify(case: Case) -> Verdict:
    if not listing(case.repository, case.change.commit).chosen("python", _is_python):
        return not_applicable(NONE)
    with case.workshop.lease(case.change.commit) as lease:
        names = packages(lease)
        if not names:
            return not_applicable(NONE)
        probe = lease.scratch / "origin_probe.py"
        probe.write_text(_PROBE)
        command = [str(lease.environment.python), "-c", _PROBE, json.dumps(names), "1", str(probe)]
        ran = lease.run(command, timeout_s=TIMEOUT_S)
        return _judge(lease, ran)


def _is_python(path: str) -> bool:
    return path.endswith(".py")


def packages(lease: Lease) -> list[str]:
    """List the import packages and modules that stand at the import roots of the tree."""
    found = set()
    for root in lease.environment.roots:
        folder = str(root.relative_to(lease.folder))
        for name in lease.view.names(folder):
            if lease.view.is_file(f"{folder}/{name}/__init__.py"):
                found.add(name)
            elif name.endswith(".py") and name not in {"setup.py", "conftest.py"}:
                found.add(name.removesuffix(".py"))
    return sorted(name for name in found if name.isidentifier())


def _judge(lease: Lease, ran: Ran) -> Verdict:
    if not ran.ok:
        return inconclusive(f"the probe could not run: {ran.receipt.reason or ran.tail(2)}", ran.shown)
    raw = Path(ran.receipt.log).read_text(encoding="utf-8")  # `output` has the lease's own path taken out
    here, child = json.loads(raw.strip().splitlines()[-1])
    found = []
    for where, answers in (("", here), (" in a child process", child)):
        for name, origin in answers.items():
            if origin is None or not str(origin).startswith(f"{lease.folder}/"):
                message = f"`import {name}`{where} gives {origin or 'nothing'}, not this tree's own code"
                found.append(Finding(rule="origin.elsewhere", message=message, limit="this tree", actual=str(origin)))
    count = len(here)
    return judged(
        found,
        otherwise=f"{count} package{'s' * (count != 1)} imported from this very tree, in child processes too",
        receipts=[ran.shown],
    )


GATE = Gate(name="origin", judges="tree", rule=rule, verify=verify, asks_ticket=False)
