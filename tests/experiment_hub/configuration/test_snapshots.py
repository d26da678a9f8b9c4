"""What each built-in configuration resolves to, defaults of the hub included: a change of one is seen here."""

import difflib
import json
from pathlib import Path
from typing import Any

import pytest

from experiment_hub.configuration.document import load
from experiment_hub.configuration.schema import ExperimentConfig

SNAPSHOTS = Path(__file__).with_name("resolved.json")
KNOWN = json.loads(SNAPSHOTS.read_text(encoding="utf-8"))


def resolved(name: str) -> dict[str, Any]:
    document = load(name)
    return document.parse(ExperimentConfig, document.data).model_dump(mode="json")


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_built_in_configuration_resolves_to_what_it_did_before(name: str) -> None:
    now, before = (json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (resolved(name), KNOWN[name]))
    difference = "\n".join(difflib.unified_diff(before, now, "before", "now", lineterm="", n=1))
    assert not difference, (
        f"{name} means something else now, for everybody who runs it:\n{difference}\n"
        f"If that is wanted, say so in the changelog and write it down: python {__file__}"
    )


if __name__ == "__main__":
    SNAPSHOTS.write_text(
        json.dumps({name: resolved(name) for name in sorted(KNOWN)}, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
