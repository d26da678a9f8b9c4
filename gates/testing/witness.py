"""A pytest plugin that the harness adds to every run: it brings tests of its own and says what it saw.

Not imported here: `gates.testing.canaries` copies this file under a random name, beside its plan, into the place where the tests run.
It loads before any file of the tree. Needs pytest 7 or later, and nothing of ours.
"""

from __future__ import annotations

import builtins
import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_PLAN: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
_OWN: frozenset[str] = frozenset(name for name, _ in _PLAN["tests"])
_RUNNER = (
    "_pytest.runner", "_pytest.reports", "_pytest.outcomes", "_pytest.main", "_pytest.python", "_pytest.nodes", "_pytest.junitxml", "_pytest.unittest",
    "_pytest.skipping", "_pytest.python_api", "_pytest.raises", "_pytest.assertion", "_pytest.assertion.rewrite", "_pytest.assertion.util", "_pytest.config", "_pytest.terminal",
    "pluggy._callers", "pluggy._hooks", "pluggy._manager", "pluggy._result", "unittest.case", "unittest.result", "unittest.suite", "xdist.dsession", "xdist.remote",
)  # fmt: skip
_CORE = ("_pytest.runner", "_pytest.reports", "_pytest.outcomes")


def _functions(names: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Give the code of every function and method of the runner, by name."""
    for name, module in ((name, sys.modules[name]) for name in names if name in sys.modules):
        for attribute, value in list(vars(module).items()):
            if getattr(value, "__module__", None) == name and isinstance(value, type):
                yield from ((f"{name}.{attribute}.{key}", _code(inner)) for key, inner in list(vars(value).items()))
            else:
                yield f"{name}.{attribute}", _code(value)


def _code(value: Any) -> Any:
    inner = getattr(value, "fget", None) or getattr(value, "__func__", None) or value
    # what a run changes for good reasons is an object; the runner itself is its functions and classes
    return getattr(inner, "__code__", inner if inspect.isclass(inner) else None)


def _pytests_own(code: Any) -> bool:
    """Recognise the one place where pytest replaces functions of its own once the command line is read."""
    return bool(getattr(code, "co_filename", "") == getattr(sys.modules.get("_pytest.legacypath"), "__file__", None))


class _Witness:
    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.before = {name: code for name, code in _functions(_RUNNER) if code is not None}
        self.core = {name: code for name, code in self.before.items() if name.startswith(_CORE)}
        self.builtins = {
            name: value for name, value in vars(builtins).items() if not name.startswith("_") or name == "__import__"
        }
        self.seen: dict[str, str] = {}
        self.odd: set[str] = set()
        self.failed = 0

    def changed(self, names: tuple[str, ...], before: dict[str, Any]) -> set[str]:
        now = dict(_functions(names))
        return {name for name, code in before.items() if now.get(name) is not code and not _pytests_own(now.get(name))}

    def look(self) -> None:
        """Note what of the runner is not as it was, and what of the tree has become a part of it."""
        self.odd |= self.changed(_RUNNER, self.before)
        self.odd |= {
            f"builtins.{name}" for name, value in self.builtins.items() if vars(builtins).get(name) is not value
        }
        hooks = (*self.config.pluginmanager.get_plugins(), *sys.meta_path, *sys.path_hooks)
        self.odd |= {place for place in map(self.place, hooks) if place}

    def place(self, hook: object) -> str:
        """Give the file of the tree that a plugin or an import hook comes from; conftest.py is another gate's question."""
        owner = (
            hook
            if inspect.ismodule(hook)
            else inspect.getmodule(type(hook))
            if hasattr(type(hook), "__module__")
            else None
        )
        file = getattr(owner, "__file__", None) or ""
        root = str(self.config.rootpath)
        inside = (
            file.startswith(f"{root}/")
            and "/site-packages/" not in file[len(root) :]
            and not file.endswith("/conftest.py")
        )
        return file[len(root) + 1 :] if inside else ""

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> Generator[None]:
        yield
        if items and not self.config.option.collectonly:
            path = list(sys.path)
            module = pytest.Module.from_parent(session, path=Path(_PLAN["file"]), nodeid=_PLAN["nodeid"])
            own = [(pytest.Function.from_parent(module, name=name), share) for name, share in _PLAN["tests"]]
            sys.path[:] = path
            places = sorted(((round(share * len(items)), item) for item, share in own), key=lambda pair: -pair[0])
            for place, item in places:
                items.insert(place, item)

    def pytest_collection_finish(self) -> None:
        self.look()

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None]:
        yield
        self.odd |= self.changed(_CORE, self.core)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        yield
        self.note(report.nodeid, report.outcome)
        if report.failed and not hasattr(report, "wasxfail"):
            self.failed += 1
            session = self.config.pluginmanager.get_plugin("session")
            if session is not None and report.nodeid.rpartition("::")[2] in _OWN:
                # coverage floors and the like ask how many tests failed; ours are none of theirs
                session.testsfailed -= 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self.note(report.nodeid, report.outcome)

    def note(self, identity: str, outcome: str) -> None:
        rank = {"failed": 0, "skipped": 1}
        self.seen[identity] = min(outcome, self.seen.get(identity, "passed"), key=lambda one: rank.get(one, 2))

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        yield
        self.look()
        worker = getattr(self.config, "workerinput", {}).get("workerid", "main")
        record = {"exit": int(session.exitstatus), "seen": self.seen, "odd": sorted(self.odd)}
        Path(f"{_PLAN['witness']}-{worker}.json").write_text(json.dumps(record), encoding="utf-8")
        if worker == "main" and session.exitstatus == 0 and not self.config.option.collectonly:
            session.exitstatus = 1  # a test of the harness failed, and the exit code says so, whoever asks

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(
            f"The harness brought these tests itself, and some of them must fail: {', '.join(sorted(_OWN))}"
        )


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    """Begin once the installed plugins are in and nothing of the tree is: a wrapper comes before pytest's own."""
    early_config.pluginmanager.register(_Witness(early_config), Path(__file__).stem[::-1])
    yield
