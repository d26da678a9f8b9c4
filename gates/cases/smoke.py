"""Cases of the gate `smoke`."""

from __future__ import annotations

from typing import Any

from gates.example import Example

BASE = {"a.py": "x = 1\n", "old/m.json": "{}\n"}
MAKE = "mkdir -p out && echo 1 > out/m.json"


def smoke(run: Any, *produces: str, timeout_s: float = 20) -> dict[str, Any]:
    return {"smoke": {"run": run, "produces": produces, "timeout_s": timeout_s}}


CASES = (
    Example(name="a run that fails", base=BASE, ticket=smoke("exit 3"), expects=("smoke.failed",), runs=True),
    Example(
        name="a run that fails after it produced",
        base=BASE,
        ticket=smoke(f"{MAKE}; exit 1", "out/m.json"),
        expects=("smoke.failed",),
        runs=True,
    ),
    Example(
        name="nothing produced",
        base=BASE,
        ticket=smoke("true", "out/*.json"),
        expects=("smoke.not-produced",),
        runs=True,
    ),
    Example(
        name="an empty product",
        base=BASE,
        ticket=smoke("mkdir out; : > out/m.json", "out/*.json"),
        expects=("smoke.not-produced",),
        runs=True,
    ),
    Example(
        name="a link for a product",
        base=BASE,
        ticket=smoke("mkdir out; ln -s ../a.py out/m.json", "out/*.json"),
        expects=("smoke.not-produced",),
        runs=True,
    ),
    Example(
        name="a product that was there before",
        base=BASE,
        ticket=smoke(f"{MAKE}; echo 2 > old/m.json", "old/m.json"),
        expects=("smoke.there-before",),
        runs=True,
    ),
    Example(
        name="a run without an end",
        base=BASE,
        ticket=smoke("sleep 60", timeout_s=0.3),
        expects=("smoke.too-slow",),
        runs=True,
    ),
    Example(name="what was promised", base=BASE, ticket=smoke(MAKE, "out/m.json"), runs=True),
    Example(name="a run that promises nothing", base=BASE, ticket=smoke("true"), runs=True),
    Example(name="no smoke run", base=BASE, change={"a.py": "x = 2\n"}),
)
