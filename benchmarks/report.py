"""Run the benchmarks of the harness and put their tables into docs/benchmarks.md, between the markers of each, and into docs/train-policy.md.

    python benchmarks/report.py [--quick] [--only merging,train] [--mergetrain PATH]

Run it when the machine has nothing else to do: about forty minutes, `--quick` about ten. A benchmark that fails leaves its table as it was,
and the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from dataclasses import dataclass

from _project import ENVIRONMENT, ROOT

PAGE = ROOT / "docs/benchmarks.md"
PATIENCE_S = 3600


@dataclass(frozen=True)
class Bench:
    """One command, as a person would type it, and as it is run in a hurry."""

    command: tuple[str, ...]
    quick: tuple[str, ...]
    elsewhere: bool = False
    """It writes a page of its own."""


BENCHES = {
    "merging": Bench(("merging.py", "9"), ("merging.py", "3", "16")),
    "leases": Bench(("leases.py", "7"), ("leases.py", "3")),
    "train": Bench(("train.py", "5"), ("train.py", "1")),
    "cost": Bench(("train_cost.py", "5"), ("train_cost.py", "1")),
    "policy": Bench(("train_policy.py", "3", "--write"), ("train_policy.py", "1", "--write"), elsewhere=True),
    "state": Bench(("state.py", "--rounds", "5"), ("state.py", "--rounds", "1")),
    "whole": Bench(("harness_cost.py", "5"), ("harness_cost.py", "1")),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--only", default=",".join(BENCHES), help="names, with commas between them")
    parser.add_argument("--mergetrain", default="mergetrain", help="command of the peer that train.py is compared with")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := sorted(set(wanted) - set(BENCHES)):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    failed = [name for name in wanted if not _ran(name, quick=options.quick, mergetrain=options.mergetrain)]
    if failed:
        print(f"failed, their tables are as before: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


def _ran(name: str, *, quick: bool, mergetrain: str) -> bool:
    bench = BENCHES[name]
    words = [*(bench.quick if quick else bench.command)]
    shown = " ".join(("python benchmarks/" + words[0], *words[1:]))
    if name == "train":
        words += ["serial,train,one,peer,git", mergetrain]
    began = time.monotonic()
    command = [sys.executable, str(ROOT / "benchmarks" / words[0]), *words[1:]]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"{name}: no end within {PATIENCE_S} s", file=sys.stderr)
        return False
    print(f"{name}: {time.monotonic() - began:.0f} s, exit code {done.returncode}", file=sys.stderr)
    if done.returncode:
        print("\n".join(done.stderr.splitlines()[-5:]), file=sys.stderr)
        return False
    if bench.elsewhere:
        return True
    page = with_table(PAGE.read_text(encoding="utf-8"), name, f"$ {shown}\n\n{done.stdout.strip()}")
    PAGE.write_text(page, encoding="utf-8")
    return True


def with_table(page: str, name: str, text: str) -> str:
    """Put a text between the markers of its name; raise SystemExit where the page has none."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"{PAGE.name} has no place for {name}")
    block = f"```text\n{text}\n```\n"
    return pattern.sub(lambda found: f"{found[1]}{block}{found[2]}", page)


if __name__ == "__main__":
    raise SystemExit(main())
