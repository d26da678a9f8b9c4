"""How long a person waits: the runs table over 10,000 runs, and a curve of a million points in headless Chromium.

Server time is what one client on the same machine waits for the whole answer; browser time is counted by the page from
the begin of its navigation to the frame after the last thing was drawn. The first rows are the floor: a file of the
same server. Medians of at least seven rounds after one that warms up; the cold curve is read by a server that has
never seen it.

    python benchmarks/web.py --rounds 9
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from sqlalchemy import insert

from experiment_hub.metadata.sessions import writing
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.metadata.tables import Run, RunMetric, RunParameter
from experiment_hub.tracking.series import SeriesWriter

ROOT = Path(__file__).parent.parent
RUNS, POINTS = 10_000, 1_000_000
METRICS = ("train.loss", "val.loss", "val.accuracy", "test.accuracy", "learning_rate", "system/cpu")
PARAMETERS = ("learning_rate", "width", "dropout", "batch_size", "epochs", "decay", "warm_up", "seed")
CHROMIUM = "/usr/bin/chromium"
TABLES = {
    "runs table, newest first": "/",
    "runs table, sorted by a metric": "/?sort=-metric%3Aval.accuracy",
    "runs table, two conditions": "/?where=val.accuracy%3E0.5+and+learning_rate%3C0.5&sort=val.loss",
    "runs table, part of a name": "/?q=name+7",
    "runs table, grouped": "/?group=width",
    "API, newest first": "/api/v1/runs",
}
PAINTED = (
    """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"""
)
DRAWN = """() => new Promise((done) => {
  const said = () => [...document.querySelectorAll('.chart output')].every((each) => each.textContent.includes('points'));
  const look = () => said() ? requestAnimationFrame(() => done(performance.now())) : requestAnimationFrame(look);
  look();
})"""


def fill(home: Path) -> str:
    """Rows of 10,000 runs, and one run whose curve has a million points; gives that run's id."""
    store, luck, began = MetadataStore(home), random.Random(0), datetime(2026, 1, 1, tzinfo=UTC)  # noqa: S311 -- made-up figures, the same each time
    rows: dict[Any, list[dict[str, Any]]] = {Run: [], RunMetric: [], RunParameter: []}
    for number in range(RUNS):
        run, at = f"r-{number:06}", (began + timedelta(minutes=number)).isoformat(timespec="milliseconds")
        config = {name: luck.random() for name in PARAMETERS}
        fixed = {"host": "h", "pid": 1, "process_started": 0.0, "resumes": [], "smoke": False, "overrides": {}}
        own = {"id": run, "name": f"name {number % 40}", "state": "finished", "created_at": at, "seed": number % 5}
        rows[Run].append({**fixed, **own, "config": config, "folder": f"runs/{run}", "seconds": luck.random() * 1e4})
        for name in METRICS:
            value = luck.random()
            figures = {"last": value, "minimum": value, "maximum": value, "points": 1000, "last_step": 999}
            rows[RunMetric].append({"run_id": run, "name": name, **figures})
        rows[RunParameter] += [
            {"run_id": run, "name": name, "number": value, "text": str(value)} for name, value in config.items()
        ]
    with writing(store.engine) as session:
        for kind, values in rows.items():
            session.execute(insert(kind), values)
    writer = SeriesWriter(home / "runs" / run / "series")
    for step in range(POINTS):
        writer.log({"train.loss": math.exp(-step / 2e5) + luck.random() * 0.1}, step=step)
    writer.close()
    return run


@contextmanager
def serving(home: Path) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "experiment_hub",
        "serve",
        "--json",
        "--port",
        "0",
        "--no-auth",
        "--home",
        str(home),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "platform")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        assert server.stdout  # noqa: S101 -- it was asked for
        yield str(json.loads(server.stdout.readline())["url"]).rstrip("/")
        server.terminate()


def rounds_of(action: Callable[[], float], rounds: int) -> list[float]:
    return [action() for _ in range(rounds + 1)][1:]


def answered(address: str) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 -- our own server
        answer.read()
    return (time.perf_counter() - began) * 1000


def shown(page: Page, address: str, ready: str) -> float:
    page.goto(address, wait_until="commit")
    page.wait_for_load_state("domcontentloaded")
    return float(page.evaluate(ready))


def row(name: str, values: list[float], limit: int | None = None) -> None:
    low, high = min(values), max(values)
    print(f"| {name} | {statistics.median(values):.0f} | {low:.0f} to {high:.0f} | {limit or ''} |", flush=True)


def in_browser(base: str, run: str, rounds: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        curve = f"{base}/runs/{run}?names=train.loss"
        row("browser: a page without data (floor)", rounds_of(lambda: shown(page, f"{base}/sign-in", PAINTED), rounds))
        row("browser: runs table of 10,000 painted", rounds_of(lambda: shown(page, f"{base}/", PAINTED), rounds), 200)
        row(
            "browser: page with a curve of 1,000,000 points painted",
            rounds_of(lambda: shown(page, curve, DRAWN), rounds),
            300,
        )
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = max(7, parser.parse_args().rounds)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        run = fill(home)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {RUNS} runs, {POINTS} points, {rounds} rounds\n")
        print("| what | median ms | range | limit |\n| --- | ---: | ---: | ---: |")
        address = f"/api/v1/runs/{run}/curves?name=train.loss&points=2000"
        with serving(home) as base:
            row("curve of 1,000,000 points, first look of a server", [answered(base + address)], 300)
            measure(base, address, rounds)
            in_browser(base, run, rounds)


def measure(base: str, curve: str, rounds: int) -> None:
    row("a file of this server (floor)", rounds_of(lambda: answered(f"{base}/static/icon.svg"), rounds))
    for name, table in TABLES.items():
        row(name, rounds_of(partial(answered, base + table), rounds), 200)
    row("curve of 1,000,000 points, again", rounds_of(lambda: answered(base + curve), rounds), 300)


if __name__ == "__main__":
    main()
