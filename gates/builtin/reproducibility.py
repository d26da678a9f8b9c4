"""`reproducibility`: what decides on the result of a training run stands in its configuration, and nothing else decides.

In training code: no seeds, data paths and hyperparameters as literals, no randomness that the run's seed does not reach, no
switch that lets the same run end differently. A changed default of the configuration is declared in the report.
Draws of torch are free: the run's own seed controls them. Tests, benchmarks and files of defaults are exempt.
"""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gates.protocol import Case, Gate
from gates.source import defaults
from gates.source.literals import data_paths, hyperparameters, seeds
from gates.source.python_code import LARGEST, changed_files, fresh, read_all
from gates.source.python_names import is_test, learns, nodes
from gates.source.randomness import switches, uncontrolled
from gates.verdict import Finding, Verdict, judged, not_applicable
from tickets.globs import matches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gates.source.python_code import Seen
    from tickets.model import Ticket
    from tickets.policy import Policy

TOLD = {
    "seed": "a seed as a literal: take it from the configuration of the run",
    "hyperparameter": "a hyperparameter as a literal: take it from the configuration of the run",
    "data-path": "a place of data as a literal: take it from the configuration of the run",
    "randomness": "randomness that the seed of the run does not control: draw from a generator that was made with that seed",
    "nondeterminism": "a switch that lets the same run end differently: leave it to the configuration of the run",
}
_WORDS = frozenset(
    {"optimizer", "optimiser", "epochs", "num_epochs", "learning_rate", "lr", "dataloader", "backward", "batch_size"}
)
_BENCHMARKS = frozenset({"benchmark", "benchmarks"})
_YAML = (".yaml", ".yml")


def rule(_ticket: Ticket, policy: Policy) -> str:
    settings = policy.reproducibility
    lines = []
    if settings.paths:
        globs = ", ".join(f"`{glob}`" for glob in settings.paths)
        lines += [
            f"- in training code ({globs}; tests and benchmarks are exempt) you add no seed, no data path and no hyperparameter",
            "  as a literal, no generator without a seed, no seed from the clock, no draw from the global state of `random` or",
            "  `numpy.random`, no `cudnn.benchmark = True` and no `use_deterministic_algorithms(False)`:",
            "  such values come from the configuration",
        ]
    if settings.defaults:
        globs = ", ".join(f"`{glob}`" for glob in settings.defaults)
        lines.append(f"- a default that you change in {globs} is named in your report with its old and its new value")
    return "\n".join(lines)


def verify(case: Case) -> Verdict:
    settings = case.policy.reproducibility
    in_training = any(_is_training(case, file.path) for file in changed_files(case))
    in_defaults = any(matches(change.path, settings.defaults) for change in case.change.landing)
    if not in_training and not in_defaults:
        return not_applicable("neither training code nor defaults of a configuration were changed")
    return judged(
        [*_literals(case), *_undeclared(case)], otherwise="nothing was added that a configuration should decide"
    )


def _is_training(case: Case, path: str) -> bool:
    settings = case.policy.reproducibility
    exempt = is_test(path) or not _BENCHMARKS.isdisjoint(PurePosixPath(path).parts) or matches(path, settings.defaults)
    return bool(matches(path, settings.paths)) and not exempt


def _literals(case: Case) -> Iterator[Finding]:
    for file, seen in fresh(case, _find):
        if _is_training(case, file.path) and (seen.rule in {"seed", "hyperparameter"} or _trains(file.tree)):
            message = f"{file.path}:{seen.line} adds `{_short(seen.shown)}`, {TOLD[seen.rule]}"
            yield Finding(rule=f"reproducibility.{seen.rule}", path=file.path, line=seen.line, message=message)


def _find(_path: str, tree: ast.Module) -> Iterator[Seen]:
    for find in (seeds, hyperparameters, data_paths, uncontrolled, switches):
        yield from find(tree)


def _trains(tree: ast.Module) -> bool:
    """A file may be called `trains.py` and be about railways."""
    names = {node.id for node in nodes(tree) if isinstance(node, ast.Name)}
    named = {node.attr for node in nodes(tree) if isinstance(node, ast.Attribute)}
    given = {node.arg for node in nodes(tree) if isinstance(node, ast.arg | ast.keyword)}
    return learns(tree) or not _WORDS.isdisjoint(names | named | given)


# changed defaults


def _undeclared(case: Case) -> Iterator[Finding]:
    if case.report is None:
        return  # no agent was at work, so nobody owes a report
    for path, name, was, now in _changed_defaults(case):
        if not defaults.is_declared(case.report, name, (was, now)):
            message = (
                f"{path} changes the default of `{name}` from `{_short(was)}` to `{_short(now)}` and the report does not say so; "
                f"write a line `{name}: {_short(was)} -> {_short(now)}` with the reason"
            )
            yield Finding(
                rule="reproducibility.default", path=path, message=message, limit=_short(was), actual=_short(now)
            )


def _changed_defaults(case: Case) -> Iterator[tuple[str, str, str, str]]:
    globs = case.policy.reproducibility.defaults
    for file in changed_files(case):
        if file.before_tree and matches(file.path, globs):
            old, new = defaults.of_python(file.before_tree), defaults.of_python(file.tree)
            yield from ((file.path, *one) for one in sorted(defaults.changed(old, new)))
    for path, before, text in _yaml_files(case):
        was, now = defaults.of_yaml(before), defaults.of_yaml(text)
        if was and now:
            yield from ((path, *one) for one in sorted(defaults.changed(was, now)))


def _yaml_files(case: Case) -> Iterator[tuple[str, str, str]]:
    globs, landing = case.policy.reproducibility.defaults, case.change.landing
    kept = [one for one in landing if one.kind in {"modified", "renamed"}]
    rows = [one for one in kept if one.path.endswith(_YAML) and matches(one.path, globs)]
    before = read_all(case.repository, case.change.base, [one.old_path or one.path for one in rows])
    after = read_all(case.repository, case.change.commit, [one.path for one in rows])
    for one in rows:
        was, now = before.get(one.old_path or one.path, ""), after.get(one.path, "")
        if max(len(was), len(now)) <= LARGEST:
            yield one.path, was, now


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - what a line of a report holds


GATE = Gate(name="reproducibility", judges="change", rule=rule, verify=verify)
