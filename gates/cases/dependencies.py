"""Cases of the gate `dependencies`."""

from __future__ import annotations

from gates.example import Example

PYPROJECT = '[project]\nname = "thing"\nversion = "1"\ndependencies = ["rich>=13", "httpx"]\n'
PACKAGE = '{"name": "thing", "dependencies": {"left-pad": "1.0.0"}, "scripts": {"test": "jest"}}\n'
BASE = {"pyproject.toml": PYPROJECT, "requirements.txt": "six==1.16\n", "package.json": PACKAGE, "a.py": "a = 1\n"}


def edited(path: str, old: str, new: str) -> dict[str, str | bytes | None]:
    return {path: BASE[path].replace(old, new)}


CASES = (
    Example(
        name="a package added",
        base=BASE,
        change=edited("pyproject.toml", '"httpx"', '"httpx", "evil"'),
        expects=("dependencies.added",),
    ),
    Example(
        name="a package removed",
        base=BASE,
        change=edited("pyproject.toml", ', "httpx"', ""),
        expects=("dependencies.removed",),
    ),
    Example(
        name="a version loosened",
        base=BASE,
        change=edited("requirements.txt", "==1.16", ">=1"),
        expects=("dependencies.changed",),
    ),
    Example(
        name="an optional dependency",
        base=BASE,
        change={"pyproject.toml": PYPROJECT + '[project.optional-dependencies]\nmore = ["numpy"]\n'},
        expects=("dependencies.added",),
    ),
    Example(
        name="a package of another ecosystem",
        base=BASE,
        change=edited("package.json", '"1.0.0"', '"2.0.0"'),
        expects=("dependencies.changed",),
    ),
    Example(
        name="a manifest deleted",
        base=BASE,
        change={"requirements.txt": None},
        expects=("dependencies.manifest-gone",),
    ),
    Example(
        name="a manifest that nobody can read any more",
        base=BASE,
        change={"pyproject.toml": "[project\n"},
        expects=("dependencies.unreadable",),
    ),
    Example(
        name="a new requirements file",
        base=BASE,
        change={"dev-requirements.txt": "pytest\n"},
        expects=("dependencies.added",),
    ),
    Example(name="source code", base=BASE, change={"a.py": "a = 2\n"}),
    Example(
        name="the order of the lines",
        base=BASE,
        change=edited("pyproject.toml", '"rich>=13", "httpx"', '"httpx", "rich>=13"'),
    ),
    Example(
        name="the version of the project itself",
        base=BASE,
        change=edited("pyproject.toml", 'version = "1"', 'version = "2"'),
    ),
    Example(name="a script of the manifest", base=BASE, change=edited("package.json", '"jest"', '"jest --ci"')),
    Example(name="a comment", base=BASE, change={"requirements.txt": "# pinned\nsix==1.16\n"}),
)
