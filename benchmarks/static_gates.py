"""All gates that start no command of the tree, together, on a change of ten files in a large repository, beside the diff by git.

    python benchmarks/static_gates.py [files] [rounds]

Budget: under 2 s for ten changed files in a repository of 5,000.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from _project import git, table, timed
from gates.catalogue import BUILT_IN
from gates.protocol import Case
from gates.workshop import Workshop
from tickets.model import Ticket
from tickets.policy import Policy
from worktrees.changes import between
from worktrees.git import Repository

if TYPE_CHECKING:
    from typing import Any

RUN_COMMANDS = frozenset({"origin", "checks", "tests", "acceptance", "smoke", "migrations"})
CHANGED = 10
MODULE = '''"""Module {number}."""

from __future__ import annotations

import torch


def step{number}(batch: dict[str, torch.Tensor], rate: float) -> float:
    """Give the loss of one step."""
    loss = batch["x"].sum() * rate
    return float(loss)
'''
REPORT = "## Summary\nx\n## Files Changed\n{files}\n## Verification\nnone\n## Risks / Edge Cases\nnone\n## Out-of-Scope Issues Found\nnone\n"


class Forgetful:
    """Keeps nothing: every round judges anew."""

    def get(self, key: str) -> None:
        pass

    def put(self, key: str, value: dict[str, Any]) -> None:
        pass


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 7  # noqa: PLR2004 - the second argument
    with tempfile.TemporaryDirectory() as place:
        case = _case(Path(place).resolve(), files)
        static = {name: gate for name, gate in BUILT_IN.items() if name not in RUN_COMMANDS}
        peer = partial(between, case.repository, case.change.base, case.change.commit)
        times: dict[str, list[float]] = {"git diff of the two trees": [], **{name: [] for name in static}, "all": []}
        for number in range(rounds + 1):
            fresh = replace(case, texts={})  # each series reads for itself
            ways = {name: partial(gate.verify, fresh) for name, gate in static.items()}
            row = {"git diff of the two trees": timed(peer), **{name: timed(way) for name, way in ways.items()}}
            row["all"] = sum(row[name] for name in ways)
            if number:  # the first round imports and compiles
                for name, seconds in row.items():
                    times[name].append(seconds)
    table(f"static gates, {CHANGED} of {files} files changed", [(name, values, None) for name, values in times.items()])


def _case(folder: Path, files: int) -> Case:
    root = folder / "repo"
    for number in range(files):
        file = root / f"src/package{number // 100}/module{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(MODULE.format(number=number), encoding="utf-8")
    git(root, "init", "-qb", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "base")
    changed = [root / f"src/package{number}/module{number * 100}.py" for number in range(min(CHANGED, files // 100))]
    for file in changed:
        file.write_text(f"{file.read_text(encoding='utf-8')}\n\nLIMIT = 3\n", encoding="utf-8")
    git(root, "commit", "-qam", "change")
    repository = Repository.find(root)
    repository.state.mkdir(exist_ok=True)
    head = repository.commit("refs/heads/main") or ""
    base = repository.commit(f"{head}^") or ""
    names = "\n".join(f"- {file.relative_to(root)}" for file in changed)
    workshop = Workshop(repository=repository, base=base, folder=folder / "l", logs=folder / "logs", level="none")
    return Case(
        ticket=Ticket.model_validate(
            {
                "id": "T-0001",
                "title": "x",
                "objective": "x",
                "non_goals": ("y",),
                "acceptance": (),
                "scope": {"write": ["src/**"]},
            }
        ),
        policy=Policy(),
        repository=repository,
        change=between(repository, base, head),
        stage="worktree",
        workshop=workshop,
        store=Forgetful(),
        attempt=1,
        report=REPORT.format(files=names),
    )


if __name__ == "__main__":
    main()
