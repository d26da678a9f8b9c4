"""Logging scalars one call at a time from one process: the hub beside its peers, in the same run.

Every contender is a process of its own. It warms up, logs as many scalars as it can in a few seconds, ends its run,
and reads back how many points are there. `points a second` counts until the logger's own end returned; `call` is the
median time of one call on the thread that trains. Rounds take turns, so that a machine that gets slower for a minute
slows everybody; the ratio is the hub's rate by the peer's, of the same round, and the table shows medians.

    python benchmarks/tracking.py [rounds]
    PEERS=/path/to/python python benchmarks/tracking.py     # with Aim, trackio and DVCLive of another environment
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from _project import ENVIRONMENT, ROOT, machine

# each defines begin(), log(step), end(), count(); `place` is an empty folder
HUB = """
import experiment_hub as hub
def begin():
    global run, log
    run = hub.start("benchmark", home=place, capture=False)
    write = run.log
    log = lambda step: write({"loss": step * 0.5}, step)
def end(): run.finish()
def count():
    from experiment_hub.tracking.series import read
    return len(read(run.folder)["loss"].steps)
"""
HUB_LIVE = HUB.replace("def end(): run.finish()", "def end(): pass")  # read while the run is going on
TENSORBOARD = """
from torch.utils.tensorboard import SummaryWriter
def begin():
    global writer
    writer = SummaryWriter(place)
def log(step): writer.add_scalar("loss", step * 0.5, step)
def end(): writer.close()
def count():
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    return len(EventAccumulator(place, size_guidance={"scalars": 0}).Reload().Scalars("loss"))
"""
MLFLOW = """
import os, logging
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
logging.disable(logging.INFO)
import mlflow
def begin():
    mlflow.set_tracking_uri(URI)
    mlflow.start_run()
def log(step): mlflow.log_metric("loss", step * 0.5, step=step)
def end():
    global run
    run = mlflow.active_run().info.run_id
    mlflow.end_run()
def count(): return len(mlflow.MlflowClient().get_metric_history(run, "loss"))
"""
MLFLOW_BATCH = (
    MLFLOW
    + """
from mlflow.entities import Metric
import time as clock
rows = []
def log(step):
    rows.append(Metric("loss", step * 0.5, int(clock.time() * 1000), step))
    if len(rows) == 1000: flush()
def flush():
    mlflow.MlflowClient().log_batch(mlflow.active_run().info.run_id, metrics=rows)
    rows.clear()
finish = end
def end():
    flush()
    finish()
"""
)
WANDB = """
import os
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=place)
import wandb
def begin():
    global run
    run = wandb.init(project="benchmark", dir=place, settings=wandb.Settings(x_disable_stats=True, console="off"))
def log(step): run.log({"loss": step * 0.5})
def end(): run.finish()
def count():
    from pathlib import Path
    from experiment_hub.tracking.importers.wandb import IMPORTER
    return sum(point.name == "loss" for run in IMPORTER.runs(place) for point in run.points)
"""
AIM = """
from aim import Run
def begin():
    global run
    run = Run(repo=place, system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
def log(step): run.track(step * 0.5, name="loss", step=step)
def end():
    global there
    there = sum(len(metric.values.sparse_list()[0]) for metric in run.metrics())  # once closed, Aim's own reader finds no run
    run.close()
def count(): return there
"""
TRACKIO = """
import os
os.environ["TRACKIO_DIR"] = place
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import trackio
def begin(): trackio.init(project="benchmark", name="one")
def log(step): trackio.log({"loss": step * 0.5}, step=step)
def end(): trackio.finish()
def count():
    from trackio.sqlite_storage import SQLiteStorage
    return len(SQLiteStorage.get_logs("benchmark", "one"))
"""
DVCLIVE = """
import os
os.chdir(place)
from dvclive import Live
def begin():
    global live
    live = Live(place + "/live", save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False)
def log(step):
    live.log_metric("loss", step * 0.5)
    live.next_step()
def end(): live.end()
def count():
    with open(place + "/live/plots/metrics/loss.tsv") as file: return sum(1 for _ in file) - 1
"""
SQLITE = """
import sqlite3, time as clock
rows = []
def begin():
    global base
    base = sqlite3.connect(place + "/x.sqlite")
    base.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE p (n, s, t, v)")
def log(step):
    rows.append(("loss", step, clock.time(), step * 0.5))
    if len(rows) == 1000: flush()
def flush():
    with base: base.executemany("INSERT INTO p VALUES (?, ?, ?, ?)", rows)
    rows.clear()
def end(): flush()
def count(): return base.execute("SELECT count(*) FROM p").fetchone()[0]
"""
APPEND = """
import struct, time as clock
pack = struct.Struct("<qddQ").pack
def begin():
    global file
    file = open(place + "/x", "wb")
def log(step): file.write(pack(step, clock.time(), step * 0.5, 1))
def end(): file.close()
def count():
    import os
    return os.path.getsize(place + "/x") // 32
"""
DRIVER = """
import json, sys, time, statistics
place, most, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
{program}
begin()
warm = min(most // 10, 1000)
for step in range(warm): log(step)
calls, step, began = [], warm, time.perf_counter()
while step < most and time.perf_counter() - began < seconds:
    first = time.perf_counter()
    for step in range(step, step + 50): log(step)
    calls.append((time.perf_counter() - first) / 50)
    step += 1
end()
elapsed = time.perf_counter() - began
print("RESULT" + json.dumps(dict(rate=(step - warm) / elapsed, call=statistics.median(calls), there=count(), sent=step)))
"""


@dataclass(frozen=True)
class Contender:
    name: str
    program: str
    durable: str
    most: int = 200_000
    python: str = sys.executable


def contenders() -> list[Contender]:
    found = [
        Contender("hub", HUB, "each call", 500_000),
        Contender("hub, read while it runs", HUB_LIVE, "each call", 500_000),
        Contender("TensorBoard (torch)", TENSORBOARD, "no: queue and buffer", 100_000),
        Contender("MLflow, SQLite", MLFLOW.replace("URI", '"sqlite:///" + place + "/x.db"'), "each call"),
        Contender("MLflow, files", MLFLOW.replace("URI", '"file://" + place + "/mlruns"'), "each call"),
        Contender(
            "MLflow, SQLite, log_batch of 1,000",
            MLFLOW_BATCH.replace("URI", '"sqlite:///" + place + "/x.db"'),
            "each batch",
            50_000,
        ),
        Contender("W&B offline", WANDB, "no: another process", 50_000),
    ]
    peers = os.environ.get("PEERS")
    if peers:
        found += [
            Contender("Aim", AIM, "no: buffer", 50_000, peers),
            Contender("trackio", TRACKIO, "no: queue", 50_000, peers),
            Contender("DVCLive", DVCLIVE, "each call", 5_000, peers),
        ]
    limits = [
        Contender("limit: sqlite3, executemany of 1,000", SQLITE, "each 1,000", 500_000),
        Contender("limit: raw binary append, buffered", APPEND, "no: buffer", 500_000),
    ]
    return [*found, *limits]


def measure(contender: Contender, seconds: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as place:
        program = DRIVER.format(program=contender.program)
        command = [contender.python, "-c", program, place, str(contender.most), str(seconds)]
        environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT / "platform"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, cwd=place, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        raise SystemExit(f"{contender.name} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(lines[0].removeprefix("RESULT"))
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in contenders()}
    for number in range(rounds):
        for contender in contenders() if number % 2 else contenders()[::-1]:
            found[contender.name].append(measure(contender, 2.0))
    print(f"{machine()}, {rounds} rounds\n")
    print("| logger | points a second | least to most | µs a call | hub is | durable against `kill -9` | read back |")
    print("|---|---:|---:|---:|---:|---|---|")
    for contender in contenders():
        print(row(contender, found[contender.name], found["hub"]))


def row(contender: Contender, results: list[dict[str, float]], hub: list[dict[str, float]]) -> str:
    rates = [result["rate"] for result in results]
    ratio = statistics.median(mine["rate"] / result["rate"] for mine, result in zip(hub, results, strict=True))
    call = statistics.median(result["call"] for result in results) * 1e6
    whole = all(result["there"] == result["sent"] for result in results)
    there = "complete" if whole else f"{min(result['there'] / result['sent'] for result in results):.0%}"
    spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
    cells = (contender.name, f"{statistics.median(rates):,.0f}", spread, f"{call:,.2f}", f"{ratio:,.1f}x")
    return f"| {' | '.join((*cells, contender.durable, there))} |"


if __name__ == "__main__":
    main()
