"""How long a tracked script waits before its first step: the hub beside its peers, each in a process of its own.

`import` and `start` (until the first logged scalar returned) are measured inside the process; `hub --help` is a whole
process, beside `python -c pass`. Rounds take turns; the table shows medians.

    python benchmarks/start_up.py [rounds]
    PEERS=/path/to/python python benchmarks/start_up.py      # with Aim and trackio of another environment
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from _project import ENVIRONMENT, ROOT, machine, timed

ENVIRONMENT_OF_HUB = {**ENVIRONMENT, "PYTHONPATH": str(ROOT / "platform"), "OMP_NUM_THREADS": "1"}
PROGRAMS = {
    "hub": ("import experiment_hub as hub", "run = hub.start('x', home=place); run.log({'loss': 1.0})"),
    "MLflow, SQLite": (
        "import mlflow",
        "mlflow.set_tracking_uri('sqlite:///' + place + '/x.db'); mlflow.start_run(); mlflow.log_metric('loss', 1.0)",
    ),
    "W&B offline": (
        "import wandb",
        "run = wandb.init(mode='offline', dir=place, settings=wandb.Settings(silent=True)); run.log({'loss': 1.0})",
    ),
    "TensorBoard (torch)": (
        "from torch.utils.tensorboard import SummaryWriter",
        "writer = SummaryWriter(place); writer.add_scalar('loss', 1.0, 0); writer.flush()",
    ),
}
OF_PEERS = {
    "Aim": ("from aim import Run", "run = Run(repo=place); run.track(1.0, name='loss', step=0)"),
    "trackio": (
        "import os; os.environ['TRACKIO_DIR'] = place; import trackio",
        "trackio.init(project='x'); trackio.log({'loss': 1.0})",
    ),
}
DRIVER = """
import sys, time, json, os
place, out = sys.argv[1], os.dup(1)
os.dup2(2, 1)
first = time.perf_counter()
{imports}
second = time.perf_counter()
{start}
third = time.perf_counter()
os.write(out, json.dumps([second - first, third - second]).encode())
os._exit(0)
"""


def measure(python: str, imports: str, start: str) -> list[float]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        command = [python, "-c", DRIVER.format(imports=imports, start=start), place]
        done = subprocess.run(command, env=ENVIRONMENT_OF_HUB, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{imports} failed:\n{done.stderr[-2000:]}")
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    peers = os.environ.get("PEERS")
    pythons = dict.fromkeys(PROGRAMS, sys.executable) | (dict.fromkeys(OF_PEERS, peers) if peers else {})
    programs = PROGRAMS | (OF_PEERS if peers else {})
    found: dict[str, list[list[float]]] = {name: [] for name in programs}
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "hub --help": [str(Path(sys.executable).parent / "hub"), "--help"],
    }
    whole: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (imports, start) in programs.items():
            found[name].append(measure(str(pythons[name]), imports, start))
        for name, command in commands.items():
            run = partial(subprocess.run, command, env=ENVIRONMENT_OF_HUB, check=True, capture_output=True)
            whole[name].append(timed(run))
    report(rounds, found, whole)


def report(rounds: int, found: dict[str, list[list[float]]], whole: dict[str, list[float]]) -> None:
    print(f"{machine()}, {rounds} rounds\n\n| tracker | import, ms | start to first scalar, ms |\n|---|---:|---:|")
    for name, rows in found.items():
        cells = (f"{statistics.median(column) * 1000:,.1f}" for column in zip(*rows, strict=True))
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| command | ms | least |\n|---|---:|---:|")
    for name, values in whole.items():
        print(f"| `{name}` | {statistics.median(values) * 1000:,.0f} | {min(values) * 1000:,.0f} |")


if __name__ == "__main__":
    main()
