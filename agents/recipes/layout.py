"""Where the parts of experiment_hub stand in a repository, and what is there already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tickets.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.protocol import Facts
    from agents.recipes.protocol import Parameters

MARK = "experiment_hub/plugins/__init__.py"
OWN_TESTS = "tests/experiment_hub"


@dataclass(frozen=True, kw_only=True)
class Layout:
    hub: str
    """Folder of the package, for instance `platform/experiment_hub`."""
    tests: str

    @classmethod
    def of(cls, facts: Facts) -> Layout:
        """Find the package; raise InputError in a repository that has none."""
        marks = [path for path in facts.paths if f"/{path}".endswith(f"/{MARK}")]
        if not marks:
            raise InputError(f"recipes work on a repository with experiment_hub, and this one has no file {MARK}")
        nearest = min(marks, key=lambda path: (path.count("/"), path))
        own = any(path.startswith(f"{OWN_TESTS}/") for path in facts.paths)
        return cls(hub=nearest.removesuffix("/plugins/__init__.py"), tests=OWN_TESTS if own else "tests")

    @classmethod
    def stated(cls, parameters: Parameters) -> Layout:
        """Read back what `parameters` of the planned ticket says."""
        return cls(hub=parameters["hub"], tests=parameters["tests"])

    @property
    def parameters(self) -> Parameters:
        return {"hub": self.hub, "tests": self.tests}

    @property
    def up(self) -> int:
        """Index of the repository's root in the `Path.parents` of a test."""
        return self.tests.count("/") + 1

    def plugin(self, name: str) -> str:
        return f"{self.hub}/plugins/{name}.py"

    def config(self, name: str) -> str:
        return f"{self.hub}/configs/{name}.yaml"

    def dataset(self, name: str) -> str:
        return f"{self.hub}/datasets/{name}.py"

    def metric(self, name: str) -> str:
        return f"{self.hub}/metrics/definitions/{name}.py"

    def test(self, name: str) -> str:
        return f"{self.tests}/test_{name}.py"

    def existing_tests(self, facts: Facts, *names: str) -> list[str]:
        return [path for name in names if (path := self.test(name)) in facts.paths]


def stems(facts: Facts, path: str) -> list[str]:
    """Names of the files that stand beside `path` and have its extension."""
    wanted = PurePosixPath(path)
    found = (PurePosixPath(one) for one in facts.paths)
    return sorted(one.stem for one in found if (one.parent, one.suffix) == (wanted.parent, wanted.suffix))


def read(facts: Facts, path: str) -> str:
    text = facts.read(path)
    if text is None:
        raise InputError(f"{path} is not in the repository")
    return text


def refuse_existing(facts: Facts, paths: Iterable[str]) -> None:
    if there := [path for path in paths if path in facts.paths]:
        raise InputError(f"{', '.join(there)} exists already; a recipe adds, it replaces nothing: choose another name")
