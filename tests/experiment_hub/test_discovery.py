import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiment_hub.discovery import ExtensionPoint, discover
from experiment_hub.errors import BrokenExtensionError
from experiment_hub.plugins.protocol import ModelPlugin, Plugin, contract
from experiment_hub.strict import Hyperparameters

PLUGIN_SOURCE = """
from experiment_hub.plugins.mlp import Mlp
from experiment_hub.strict import Hyperparameters

class Other(Mlp):
    name = "{name}"

PLUGIN = Other()
"""


BARE = """
from experiment_hub.plugins.mlp import Mlp

class Bare:
    name, task, framework, Config = "bare", Mlp.task, "{framework}", Mlp.Config

    def build(self, config, spec):
        return None

PLUGIN = Bare()
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package of its own name for each test, because imports are remembered."""
    folder = tmp_path / f"package_{tmp_path.name.replace('-', '_')}"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def point(package: Path) -> ExtensionPoint:
    return ExtensionPoint("model", package.name, "PLUGIN", "group.that.nobody.uses", ModelPlugin)


def test_a_new_module_registers_itself_and_one_without_plugin_is_a_helper(package: Path) -> None:
    (package / "one.py").write_text(PLUGIN_SOURCE.format(name="one"))
    (package / "helper.py").write_text("X = 1\n")
    found = discover(point(package))
    assert list(found) == ["one"]
    assert found["one"].module == f"{package.name}.one"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("PLUGIN = object()", "must be an instance with Config, build, loss, name, outputs, task"),
        (PLUGIN_SOURCE.format(name="one").replace("Other()", "Other"), "must be an instance"),
        (PLUGIN_SOURCE.format(name="one") + "Other.Config = int", "Config must extend Hyperparameters"),
        (
            PLUGIN_SOURCE.format(name="one") + "\nclass C(Hyperparameters):\n    width: int = 3\nOther.Config = C",
            "gives defaults to width",
        ),
        ("import sys\nsys.exit(0)", "SystemExit"),
        (PLUGIN_SOURCE.format(name="../evil"), "its name '../evil' is not of letters"),
        (PLUGIN_SOURCE.format(name=""), "its name '' is not of letters"),
        (PLUGIN_SOURCE.format(name="one") + "Other.name = 3", "its name 3 is not of letters"),
        (PLUGIN_SOURCE.format(name="one") + "Other.name = property(lambda self: 1 / 0)", "ZeroDivisionError"),
        ("PLUGIN = None", "must be an instance"),
    ],
)
def test_a_broken_module_gives_one_error_that_names_it(package: Path, source: str, expected: str) -> None:
    (package / "bad.py").write_text(source)
    with pytest.raises(BrokenExtensionError, match=f"{package.name}.bad") as caught:
        discover(point(package))
    assert expected in str(caught.value)


def test_what_a_module_prints_while_it_loads_is_not_a_result(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "loud.py").write_text("print('hello')\n" + PLUGIN_SOURCE.format(name="loud"))
    assert list(discover(point(package))) == ["loud"]
    assert capsys.readouterr() == ("", "hello\n")


def test_each_framework_asks_for_what_it_needs(package: Path) -> None:
    frameworks = ExtensionPoint("model", package.name, "PLUGIN", "group.that.nobody.uses", Plugin, contract)
    (package / "torch_one.py").write_text(BARE.format(framework="torch"))
    with pytest.raises(BrokenExtensionError, match="must be an instance with Config, build, loss, name, outputs, task"):
        discover(frameworks)
    (package / "torch_one.py").unlink()
    (package / "lightning_one.py").write_text(BARE.format(framework="lightning"))
    with pytest.raises(BrokenExtensionError, match="must be an instance with Config, build, name, outputs, task"):
        discover(frameworks)
    (package / "lightning_one.py").unlink()
    (package / "estimator_one.py").write_text(BARE.format(framework="estimator"))
    assert list(discover(frameworks)) == ["bare"]


def test_two_of_one_name_are_an_error_that_names_both(package: Path) -> None:
    for file in ("one", "two"):
        (package / f"{file}.py").write_text(PLUGIN_SOURCE.format(name="same"))
    with pytest.raises(BrokenExtensionError, match=r"'same' is registered twice: by .*one and by .*two"):
        discover(point(package))


def test_hyperparameters_coerce_nothing() -> None:
    class Config(Hyperparameters):
        width: int

    for wrong in ('{"width": "3"}', '{"width": 3.5}', '{"width": true}', '{"width": 3, "x": 1}', "{}"):
        with pytest.raises(ValueError, match="validation error"):
            Config.model_validate_json(wrong)


def list_plugins(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "experiment_hub", "plugins", "--json"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_another_distribution_brings_a_plugin_by_entry_point(distribution: Callable[..., Path]) -> None:
    site = distribution(
        "other", module="other_plugin", value="other_plugin:PLUGIN", source=PLUGIN_SOURCE.format(name="from_elsewhere")
    )
    done = list_plugins(site)
    assert done.returncode == 0, done.stderr
    found = {row["name"]: row["module"] for row in json.loads(done.stdout)["plugins"]}
    assert found["from_elsewhere"] == "other_plugin:PLUGIN"
    assert "mlp" in found


@pytest.mark.slow
def test_a_broken_entry_point_is_one_warning_and_stands_in_nobodys_way(distribution: Callable[..., Path]) -> None:
    site = distribution(
        "other", module="other_plugin", value="other_plugin:NOTHING", source=PLUGIN_SOURCE.format(name="from_elsewhere")
    )
    done = list_plugins(site)
    assert done.returncode == 0
    assert "mlp" in {row["name"] for row in json.loads(done.stdout)["plugins"]}
    (warning,) = done.stderr.strip().splitlines()
    assert "other_plugin:NOTHING is broken: AttributeError" in warning


@pytest.mark.slow
def test_nobody_takes_the_name_of_a_built_in_model(distribution: Callable[..., Path]) -> None:
    site = distribution(
        "other", module="other_plugin", value="other_plugin:PLUGIN", source=PLUGIN_SOURCE.format(name="mlp")
    )
    done = list_plugins(site)
    found = {row["name"]: row["module"] for row in json.loads(done.stdout)["plugins"]}
    assert found["mlp"] == "experiment_hub.plugins.mlp"
    assert "'mlp' is registered twice: by experiment_hub.plugins.mlp and by other_plugin:PLUGIN" in done.stderr
