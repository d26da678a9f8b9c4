"""The main job on a clone of this repository: a model is added, every gate, both passes, the smoke training included.

    python benchmarks/main_job.py [rounds]

Budget: four minutes on two cores. Beside it: the tests of one tree, which the job runs once for each distinct tree.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _project import ENVIRONMENT, ROOT, git, orchestrate, table, timed

TESTS = ("-m", "pytest", "-q", "-n", "2", "-p", "no:hypothesispytest", "-m", "not slow and not e2e")
PATHS = ("tests/experiment_hub", "tests/test_layout.py")


def clone(folder: Path) -> Path:
    root = folder / "signalbox"
    git(ROOT, "clone", "-q", "--branch", "main", str(ROOT), str(root))
    (root / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return root


def tests(root: Path) -> None:
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{root}:{root / 'platform'}"}
    subprocess.run([sys.executable, *TESTS, *PATHS], cwd=root, env=environment, check=True, capture_output=True)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    job, bare = [], []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            root = clone(Path(folder))
            bare.append(timed(lambda: tests(root)))  # noqa: B023 - called at once
            job.append(timed(lambda: orchestrate(root, "feature", f"add model wide_mlp_{number}")))  # noqa: B023 - called at once
            reports = [
                json.loads(file.read_text(encoding="utf-8")) for file in (root / ".orchestrate/reports").glob("*.json")
            ]
            trees = {report["tree"] for report in reports}
            print(
                f"round {number + 1}: {job[-1]:.1f} s, {len(trees)} distinct trees, tests of one tree {bare[-1]:.1f} s",
                flush=True,
            )
    peer = sorted(bare)[len(bare) // 2]
    table("the main job", [('orchestrate feature "add model ..."', job, peer), ("tests of one tree", bare, peer)])


if __name__ == "__main__":
    main()
