"""Plugins whose libraries are not installed: listed, and refused with what to install."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiment_hub.errors import MissingExtraError, UnknownNameError
from experiment_hub.plugins.protocol import missing
from experiment_hub.plugins.registry import plugin, plugins
from experiment_hub.training.runtimes.registry import runtime_of


def test_a_model_that_lacks_a_library_is_refused_before_a_run_exists(
    small: Callable[..., Path], hub: Callable[..., tuple[int, str, str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = plugins()["mlp"].item
    monkeypatch.setattr(type(found), "requires", ("nothing_of_that_name",), raising=False)
    monkeypatch.setattr(type(found), "extra", "something", raising=False)
    assert missing(found) == ["nothing_of_that_name"]
    with pytest.raises(MissingExtraError, match=r"pip install 'signalbox\[something\]'"):
        plugin("mlp")
    code, _, err = hub("run", small())
    assert (code, home.exists()) == (2, False)
    assert "model 'mlp' needs nothing_of_that_name, which is not installed" in err


def test_a_framework_that_nobody_brings_is_refused_by_name() -> None:
    class Plugin:
        framework = "abacus"

    with pytest.raises(UnknownNameError, match=r"unknown framework 'abacus'; known: estimator, lightning, torch"):
        runtime_of(Plugin())  # type: ignore[arg-type] # nothing else of it is asked


@pytest.mark.long
def test_listing_plugins_imports_none_of_their_libraries() -> None:
    program = (
        "import sys; sys.argv = ['hub', 'plugins', '--json']\n"
        "from experiment_hub.cli import app\n"
        "try: app()\n"
        "except SystemExit: pass\n"
        "print(sorted({'sklearn', 'skops', 'lightning', 'peft', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    listed, imported = done.stdout.splitlines()
    rows = {row["name"]: row for row in json.loads(listed)["plugins"]}
    assert imported == "[]"
    assert {rows[name]["framework"] for name in ("mlp", "forest", "lightning_mlp")} == {
        "torch",
        "estimator",
        "lightning",
    }
    assert rows["mlp"]["missing"] == []
