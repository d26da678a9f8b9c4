"""What `hub new` writes, built as wheels and installed into a folder, in processes that know nothing else of them."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import experiment_hub
from experiment_hub.commands import new as new_commands

KINDS = {"model": "wide_net", "dataset": "waves", "metric": "margin", "launcher": "gentle"}
BUILD = """
import os, sys
from setuptools.build_meta import build_wheel
wheels, *projects = sys.argv[1:]  # building changes the arguments
for project in projects:
    os.chdir(project)
    build_wheel(wheels)
"""

FRAMEWORK = '''
"""A framework of its own: a table of how often each class was seen."""

import json

import numpy as np

from experiment_hub.strict import Hyperparameters
from experiment_hub.tasks import CLASSIFICATION
from experiment_hub.training.runtimes.measuring import measure_splits
from experiment_hub.training.runtimes.protocol import Census


class Plugin:
    name = "frequencies"
    task = CLASSIFICATION
    framework = "counting"

    class Config(Hyperparameters):
        added: float

    def build(self, config, spec):
        return {"counts": [config.added] * spec.outputs}


class Runtime:
    name = "counting"

    def build(self, work):
        return work.blueprint.plugin.build(work.blueprint.config, work.blueprint.spec)

    def fit(self, work, model, hooks):
        counts = np.bincount(work.data["train"].targets, minlength=work.blueprint.spec.outputs)
        model["counts"] = [before + int(count) for before, count in zip(model["counts"], counts)]
        values = measure_splits(self, work, model, last=True)
        hooks.on_epoch(1, 1, values)
        return values

    def outputs(self, blueprint, model, inputs):
        return np.tile(np.log(model["counts"]), (len(inputs), 1))

    def census(self, model):
        return Census(len(model["counts"]), len(model["counts"]))

    def save(self, blueprint, model, folder):
        (folder / "counts.json").write_text(json.dumps(model))

    def load(self, blueprint, folder):
        return json.loads((folder / "counts.json").read_text())


PLUGIN, RUNTIME = Plugin(), Runtime()
'''
FRAMEWORK_PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "counting"
version = "1.0"
[project.entry-points."experiment_hub.plugins"]
frequencies = "counting:PLUGIN"
[project.entry-points."experiment_hub.runtimes"]
counting = "counting:RUNTIME"
[tool.setuptools]
py-modules = ["counting"]
"""


CONFIG = """
base: mlp
name: counted
model: {type: frequencies, added: 1.0}
metrics: [accuracy, loss, margin]
smoke: {data.samples: 256}
"""


def child(site: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(site), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": path, "HUB_HOME": str(site.parent / "home")}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def own_tests(folder: Path, site: Path, *tests: Path) -> str:
    """pytest in a process of its own, without this project's settings."""
    alone = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", folder)
    ran = child(site, "-m", "pytest", *alone, *tests)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five packages, installed as pip does it: wheels by their own build system, unpacked into a folder on the path."""
    folder = tmp_path_factory.mktemp("packages")
    for kind, name in KINDS.items():
        new_commands.create(kind, name, folder, as_json=False)
    project = folder / "counting"
    project.mkdir()
    (project / "counting.py").write_text(FRAMEWORK, encoding="utf-8")
    (project / "pyproject.toml").write_text(FRAMEWORK_PROJECT, encoding="utf-8")
    for target in ("wheels", "site"):
        (folder / target).mkdir()
    built = child(
        folder / "site", "-c", BUILD, folder / "wheels", *(folder / name for name in (*KINDS.values(), "counting"))
    )
    assert built.returncode == 0, built.stderr
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.long
def test_packages_of_every_kind_pass_their_own_tests_once_installed(site: Path, tmp_path: Path) -> None:
    """Away from their sources: what is found is found by the installed entry points."""
    for name in KINDS.values():
        shutil.copy(site.parent / name / f"test_{name}.py", tmp_path)
    shutil.copy(site.parent / "wide_net" / "wide_net.yaml", tmp_path)
    assert "9 passed" in own_tests(tmp_path, site, tmp_path)


@pytest.mark.long
def test_a_framework_of_its_own_needs_no_change_of_the_hub(site: Path, tmp_path: Path) -> None:
    config = tmp_path / "counted.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    done = child(site, "-m", "experiment_hub", "run", config, "--smoke", "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)["runs"][0]
    assert run["parameters"] == {"trainable": 3, "total": 3}
    assert run["metrics"]["test.loss"] == pytest.approx(1.1, abs=0.1)  # ln 3, because the classes are even
    assert run["metrics"]["test.margin"] <= 0  # by a metric of yet another package


@pytest.mark.long
def test_a_model_written_into_a_checkout_passes_its_test_and_nothing_else_changes(tmp_path: Path) -> None:
    source = Path(str(experiment_hub.__file__)).parent
    shutil.copytree(source, tmp_path / "platform" / "experiment_hub", ignore=shutil.ignore_patterns("__pycache__"))
    tests = tmp_path / "tests" / "experiment_hub"
    tests.mkdir(parents=True)
    made = child(tmp_path / "platform", "-m", "experiment_hub", "new", "model", "wide_net", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "3 passed" in own_tests(tmp_path, tmp_path / "platform", tests / "test_model_wide_net.py")
    assert not (source / "plugins" / "wide_net.py").exists()
