"""`python -m agents.scripted_model SCRIPT`: serves a script, and prints its address on the first line."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
from pathlib import Path

from agents.scripted_model.script import load
from agents.scripted_model.server import serving
from tickets.errors import InputError


def main() -> int:
    given = _parser().parse_args()
    try:
        script = load(given.script, _variables(given.var))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    with serving(script, log=given.log, port=given.port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0


def _variables(pairs: list[str]) -> dict[str, str]:
    known = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(known) < len(pairs):
        raise InputError("--var: expected NAME=VALUE, each name once")
    return known


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agents.scripted_model", description=__doc__)
    parser.add_argument("script", type=Path, help="YAML or JSON file with the script")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; default: any that is free")
    parser.add_argument("--log", type=Path, help="file that gets one line of JSON for each request")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="for {{NAME}} in the script")
    return parser


if __name__ == "__main__":
    sys.exit(main())
