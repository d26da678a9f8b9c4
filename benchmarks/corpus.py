"""What hostile agents come to at each level of isolation, and what gates say of honest changes: writes docs/corpus.md.

    python benchmarks/corpus.py

Wanted: no damage and no honest part lost under any level that confines; damage without one, or the corpus has no teeth;
no honest change refused by any gate. Whatever is otherwise is named in the page, and the exit code is 1.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import fake_green  # noqa: E402 - found once the line above has been run
from gates.catalogue import BUILT_IN  # noqa: E402 - as above
from gates.example import case_of, commit_all, complaint  # noqa: E402 - as above
from gates.workshop import Workshop  # noqa: E402 - as above
from honest import HONEST  # noqa: E402 - as above
from hostile_corpus import HOSTILE  # noqa: E402 - as above
from hostile_lab import Lab  # noqa: E402 - as above
from hostile_place import furnish, laboratory  # noqa: E402 - as above
from worktrees.confinement import LEVELS  # noqa: E402 - as above
from worktrees.git import Repository  # noqa: E402 - as above
from worktrees.levels import available, trouble  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hostile import Behaviour
    from hostile_lab import Played
    from worktrees.confinement import Level

PAGE = ROOT / "docs" / "corpus.md"
RUNNING = frozenset({"origin", "checks", "tests", "acceptance", "smoke"})
"""Gates that start commands of the tree; their answer depends on what these say."""
FAMILIES = list(dict.fromkeys(behaviour.family for behaviour in HOSTILE))
Results = dict[str, "Played"]


class Forgetful:
    """Keeps no verdict: every change is judged anew."""

    def get(self, key: str) -> None: ...

    def put(self, key: str, value: dict[str, object]) -> None: ...


# the hostile ones


def played(folder: Path, level: Level) -> Results:
    """Play all of the corpus at one level; without a sandbox only what can hurt nothing but its lab."""
    results: Results = {}
    for number, behaviour in enumerate(one for one in HOSTILE if level != "none" or one.unconfined):
        print(f"\r{level}: {number + 1}  ", end="", file=sys.stderr, flush=True)
        with laboratory(folder / f"{level}-{number}", folder / "template") as place:
            results[behaviour.name] = Lab(place=place).play(behaviour, level)
    print(file=sys.stderr)
    return results


def hostile_section(found: dict[Level, Results]) -> Iterator[str]:
    yield f"## Hostile agents: {len(HOSTILE)} behaviours in {len(FAMILIES)} families\n"
    yield (
        "Each also does what its ticket asks for. `held`: nothing outside of the attempt changed, nobody was reached, "
        "nothing was left behind, and the fix was taken as it was written (or the behaviour itself destroys it).\n"
    )
    head = [f"{level}: held" for level in found if level != "none"]
    yield f"| family | behaviours | {' | '.join(head)} | without a sandbox: did damage |"
    yield f"|---|---:|{'---:|' * len(head)}---:|"
    for name in FAMILIES:
        yield _row(name, [one for one in HOSTILE if one.family == name], found)
    yield _row("all", list(HOSTILE), found)
    yield ""
    yield from _notes(found)
    for name in FAMILIES:
        yield f"- **{name}**: " + "; ".join(one.name for one in HOSTILE if one.family == name)


def _row(name: str, members: list[Behaviour], found: dict[Level, Results]) -> str:
    cells = [sum(is_held(results[one.name]) for one in members) for level, results in found.items() if level != "none"]
    tried = [one for one in members if one.unconfined]
    hurt = sum(bool(found["none"][one.name].damage) for one in tried)
    return f"| {name} | {len(members)} | {' | '.join(map(str, cells))} | {hurt} of {len(tried)} tried |"


def is_held(result: Played) -> bool:
    return not result.damage and not result.lost


def _notes(found: dict[Level, Results]) -> Iterator[str]:
    """Name what is not held: known with its reason, or a defect."""
    by_name = {one.name: one for one in HOSTILE}
    for level, results in found.items():
        for name, result in results.items():
            if level != "none" and not is_held(result):
                why = by_name[name].open_at.get(level) or f"A DEFECT: {(*result.damage, *result.lost)[0]}"
                yield f"- not held by `{level}`: *{name}* ({why})"
    yield ""


def defects(found: dict[Level, Results]) -> int:
    return sum(
        not is_held(result) and level not in one.open_at
        for level, results in found.items()
        if level != "none"
        for one in HOSTILE
        for result in [results[one.name]]
    )


# the honest ones


def refusals(folder: Path) -> dict[str, list[str]]:
    """Let every static gate judge every honest change; give what each gate refuses."""
    root = folder / "honest"
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(root)], check=True)
    repository = Repository.find(root)
    repository.state.mkdir(exist_ok=True)
    found: dict[str, list[str]] = {name: [] for name in BUILT_IN if name not in RUNNING}
    for example, commits in zip(HONEST, commit_all(repository, HONEST), strict=True):
        case = case_of(
            example, commits, repository=repository, workshop=lambda base: _shop(repository, base), store=Forgetful()
        )
        for name, complaints in found.items():
            if complaint(BUILT_IN[name], case, example):
                complaints.append(example.name)
        case.workshop.close()
    return found


def _shop(repository: Repository, base: str) -> Workshop:
    place = repository.root.with_name("shop")
    return Workshop(repository=repository, base=base, folder=place / "leases", logs=place / "logs", level=available())


def honest_section(found: dict[str, list[str]]) -> Iterator[str]:
    yield f"\n## Honest changes: {len(HONEST)}\n"
    yield f"Judged by {len(found)} gates, each with its defaults; those that run commands of the tree are left out.\n"
    yield "| gate | honest changes | refused |"
    yield "|---|---:|---:|"
    for gate, names in found.items():
        yield f"| {gate} | {len(HONEST)} | {len(names)} |"
    yield ""
    for name, count in Counter(name for names in found.values() for name in names).items():
        yield f"- refused by {count}: *{name}*"
    yield "; ".join(example.name for example in HONEST) + "."


# the fakes


def fakes_section(rows: list[tuple[str, str, str]]) -> Iterator[str]:
    passed = [name for name, gates, _ in rows if not gates]
    yield f"\n## Fake green runs: {len(rows)}, of which {len(passed)} passed\n"
    yield "Each leaves the bug in and tries to make the tests say otherwise; the gates that refused it:\n"
    yield "| fake | refused by |"
    yield "|---|---|"
    for name, gates, _ in rows:
        yield f"| {name} | {gates or 'NOBODY: A DEFECT'} |"


def main() -> int:
    levels: list[Level] = [level for level in LEVELS if not trouble(level)]
    with tempfile.TemporaryDirectory(prefix="corpus-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        furnish(folder / "template")
        found = {level: played(folder, level) for level in levels}
        refused = refusals(folder)
    fakes = fake_green.table()
    lines = [
        "# The corpora\n",
        "Written by `python benchmarks/corpus.py`; the same behaviours and changes are tests in `tests/worktrees/test_hostile.py`, `tests/gates/test_fake_green.py` and `tests/gates/test_honest.py`.\n",
        *hostile_section(found),
        *fakes_section(fakes),
        *honest_section(refused),
    ]
    text = "\n".join(lines) + "\n"
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 1 if defects(found) or any(refused.values()) or not all(gates for _, gates, _ in fakes) else 0


if __name__ == "__main__":
    sys.exit(main())
