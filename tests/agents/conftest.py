"""A copy of the real training platform, facts of it, and the embedded agent at work there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agents.drivers.recipes import RecipesDriver
from agents.protocol import Assignment, Bench, Facts, PlanningTask
from tickets.model import Ticket
from tickets.plan import read_plan
from workbench import Desk, workbench

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.protocol import Outcome
    from tickets.model import Draft
    from tickets.plan import Plan

ROOT = Path(__file__).parents[2]
PARTS = ("platform", "tests/experiment_hub")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.pyc")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A folder that stands for a repository."""

    folder: Path

    def files(self) -> set[str]:
        found = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path.relative_to(self.folder)) for path in found if ".hub" not in path.parts}

    def facts(self) -> Facts:
        def read(path: str) -> str | None:
            file = self.folder / path
            return file.read_text(encoding="utf-8") if file.is_file() else None

        return Facts(project="hub", target="main", paths=tuple(sorted(self.files())), read=read)

    def plan(self, request: str) -> Plan:
        task = PlanningTask(request=request, brief="", facts=self.facts(), bench=self._bench())
        return read_plan(RecipesDriver(name="recipes").plan(task), "plan", max_tickets=10)

    def work(self, draft: Draft, plan: Plan) -> Outcome:
        ids = {one.key: f"T-{number:04}" for number, one in enumerate(plan.tickets, 1)}
        ticket = Ticket.from_draft(draft, feature="F-0001", ids=ids)
        return RecipesDriver(name="recipes").work(Assignment(ticket=ticket, attempt=1, brief="", bench=self._bench()))

    def carry_out(self, request: str) -> Plan:
        """Plan a request and have every ticket worked on, in order."""
        plan = self.plan(request)
        for wave in plan.waves:
            for draft in (draft for draft in plan.tickets if draft.key in wave):
                outcome = self.work(draft, plan)
                assert outcome.ending == "done", outcome.reason
        return plan

    def _bench(self) -> Bench:
        return replace(workbench(self.folder.parent, Desk()), tree=self.folder)

    def environment(self) -> dict[str, str]:
        """What a gate would give: the copy's own code first, nothing else inherited."""
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "HOME": str(self.folder.parent),
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(self.folder / "platform")]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False, timeout=280
        )

    def passing(self, tests: Iterable[str]) -> int:
        """Run tests; give how many passed, or -1 where one did not."""
        done = self.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", *tests)
        return done.stdout.count("\nPASSED ") if done.returncode == 0 else -1


def copy(folder: Path) -> Site:
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=LEFT_OUT)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path in folder.rglob("*wide_mlp*"):  # the README's first command may have landed it here
        path.unlink()
    return Site(folder=folder)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A copy of the platform with its tests, to work in."""
    return copy(tmp_path / "repository")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A copy that is only looked at."""
    return copy(tmp_path_factory.mktemp("original") / "repository")
