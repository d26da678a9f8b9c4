"""The records at ten thousand tickets: how long `orchestrate status` takes, how fast the log is verified, what one ticket and one event cost.

A repository is filled with 10,000 tickets (two attempts and two reports each, 100,000 events) in 200 features, all but the last ten
ended. Then come, each in a process of its own: `orchestrate status` as a whole, the verification of the event log, the records of single
tickets, the check before a run, events appended one by one (synced each), and the comparison of all records with the journal. Medians of
the rounds, least and greatest.

    python benchmarks/state.py --rounds 5
    python benchmarks/state.py --url postgresql://user@host/database
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memory.database import Database

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

FEATURES, TICKETS, EVENTS, OPEN = 200, 10_000, 100_000, 10
PROBE = """
import json, resource, sys, time
from pathlib import Path
from memory.database import Database
from memory.events import About, append, verify
from memory.records import Records
database = Database(Path(sys.argv[1]), url=sys.argv[3])
records, found = Records(database), {}
database.connection()
def timed(name, run):
    began, used = time.perf_counter(), time.process_time()
    result = run()
    found[name], found["processor"] = time.perf_counter() - began, time.process_time() - used
    return result
def one():
    for number in range(1, 1001):
        name = f"T-{number * 9:04d}"
        records.ticket(name), records.attempts(name)
def events():
    for _ in range(100):
        with database.transaction() as connection:
            append(connection, "note", About(ticket="T-0001"), {"why": "a benchmark"})
what = sys.argv[2]
if what == "verify":
    chain = timed("verify", lambda: verify(database))
    assert chain.broken_at is None, chain
    found["events"] = chain.events
elif what == "ticket":
    timed("ticket", one)
elif what == "check":
    timed("check", database.check)
elif what == "append":
    timed("append", events)
elif what == "differences":
    from memory.restore import differences
    assert timed("differences", lambda: differences(database)) == []
found["mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(found))
"""


def fill(database: Database) -> None:
    """Write what a long-lived repository holds, by the same functions that a run uses, a feature in each transaction."""
    from memory.events import About, append
    from memory.records import Records

    records = Records(database)
    each = TICKETS // FEATURES
    for number in range(FEATURES):
        with database.transaction() as connection:
            feature = records.add_feature(
                f"Feature {number}: better figures", options={}, target="main", before="a" * 40
            )
            tickets = records.set_plan(feature, plan(each))
            for ticket in tickets:
                work(records, ticket)
            state = "running" if number >= FEATURES - OPEN else "ended"
            records.set_feature(feature, state, outcome={"outcome": "landed"} if state == "ended" else None)
            missing = EVENTS * (number + 1) // FEATURES - last(database)
            for _ in range(missing):
                append(connection, "spend.counted", About(feature=feature, ticket=tickets[0], attempt=1), {"usd": 0.25})


def plan(tickets: int):  # type: ignore[no-untyped-def]  # noqa: ANN201 - imported inside
    from tickets.plan import Plan

    draft = {
        "title": "Raise the figure",
        "objective": "The figure is higher afterwards.",
        "non_goals": ["nothing else"],
        "scope": {"write": ["src/**"]},
        "acceptance": [{"run": ["python", "-m", "pytest", "-q"], "timeout_s": 60}],
    }
    return Plan.model_validate(
        {"request": "better figures", "tickets": [{**draft, "key": f"k{number}"} for number in range(tickets)]}
    )


def work(records, ticket: str) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - imported inside
    """Two attempts: one refused, one landed, each with its report."""
    from memory.events import About
    from tickets.states import State

    for verdict in ("fail", "pass"):
        number = records.start_attempt(ticket, base="b" * 40, start="b" * 40, worktree="w")
        about = About(ticket=ticket, attempt=number)
        gates = [{"name": f"gate-{index}", "verdict": "pass", "reason": "", "findings": []} for index in range(23)]
        report = {"pass": "worktree", "verdict": verdict, "gates": gates, "created_at": "2026-01-01T00:00:00+00:00"}
        records.add_report(f"{ticket}.{number}", report, about)
        records.set_attempt(
            records.attempts(ticket)[-1], "passed" if verdict == "pass" else "refused", outcome={"evidence": "x" * 400}
        )
        ways = (State.READY,) if verdict == "fail" else (State.VERIFYING, State.QUEUED, State.LANDING, State.LANDED)
        for state in ways:
            records.move(ticket, state, "because")


def last(database: Database) -> int:
    return int(database.connection().execute("SELECT COALESCE(MAX(seq), 0) AS seq FROM events").fetchone()["seq"])


def status(repository: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "orchestrator", "status", "--repo", str(repository)],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return time.perf_counter() - began


def probe(state: Path, what: str, url: str) -> dict[str, float]:
    command = [sys.executable, "-c", PROBE, str(state), what, url]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    return dict(json.loads(done.stdout))


def shown(name: str, values: list[float], unit: str) -> None:
    middle, least, most = statistics.median(values), min(values), max(values)
    print(f"{name:<52} {middle:>12,.3f} {unit:<9} ({least:,.3f} to {most:,.3f})")


def main() -> None:
    from demo_project import demo_in, home_in
    from memory.database import Database

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", default="", help="of a PostgreSQL server; SQLite where it is left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        demo = demo_in(place, home_in(place))
        state = demo.root / ".orchestrate"
        database = Database(state, url=chosen.url)
        began = time.perf_counter()
        fill(database)
        size = 0 if chosen.url else database.file.stat().st_size
        print(
            f"filled in {time.perf_counter() - began:.0f} s: {TICKETS:,} tickets, {last(database):,} events, {size >> 20} MiB\n"
        )
        database.close()
        report(demo.root, chosen.rounds, chosen.url)


def report(repository: Path, rounds: int, url: str) -> None:
    state = repository / ".orchestrate"
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    if not url:
        shown("orchestrate status, the whole process", [status(repository) for _ in range(rounds)], "s")
    verified = [probe(state, "verify", url) for _ in range(rounds)]
    shown("event log verified", [each["events"] / each["verify"] for each in verified], "events/s")
    shown("  for each second of the processor", [each["events"] / each["processor"] for each in verified], "events/s")
    shown("  memory of that process", [each["mib"] for each in verified], "MiB")
    shown("one ticket and its attempts read", [probe(state, "ticket", url)["ticket"] for _ in range(rounds)], "ms")
    shown("event appended, synced", [probe(state, "append", url)["append"] * 10 for _ in range(rounds)], "ms")
    shown("check before a run", [probe(state, "check", url)["check"] for _ in range(rounds)], "s")
    if not url:
        shown("every record compared with the journal", [probe(state, "differences", url)["differences"]], "s")


if __name__ == "__main__":
    main()
