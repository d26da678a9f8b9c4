"""Cases of the gate `tamper`."""

from __future__ import annotations

from gates.example import Example

CODE = "def add(a, b):\n    return a + b\n"
TESTS = """\
import pytest

from src.calc import add


def test_add():
    assert add(1, 2) == 3
    assert add(2, 2) == 4


def test_close():
    assert add(0.1, 0.2) == pytest.approx(0.3, rel=1e-6)
    assert add(1, 1) < 3


@pytest.mark.parametrize("a", [1, 2, 3])
def test_each(a):
    assert add(a, 0) == a


def test_bad():
    with pytest.raises(TypeError, match="unsupported"):
        add(1, None)
"""
PYPROJECT = '[project]\nname = "x"\n\n[tool.pytest.ini_options]\naddopts = "-q"\n'
BASE: dict[str, str | bytes] = {
    "src/calc.py": CODE,
    "tests/test_calc.py": TESTS,
    "pyproject.toml": PYPROJECT,
    "tests/golden/out.json": "[1]\n",
}
NAMED = {"scope": {"write": ["src/**", "tests/test_calc.py"]}}


def changed(name: str, path: str, text: str | bytes | None, *rules: str) -> Example:
    return Example(name=name, base=BASE, change={path: text}, expects=tuple(f"tamper.{rule}" for rule in rules))


def tests(name: str, old: str, new: str, *rules: str) -> Example:
    return changed(name, "tests/test_calc.py", TESTS.replace(old, new), *rules)


def code(name: str, text: str, *rules: str) -> Example:
    return changed(name, "src/calc.py", text + CODE, *rules)


ADD = "    assert add(1, 2) == 3\n"
BOTH = ADD + "    assert add(2, 2) == 4\n"
MOCK = "def test_add(monkeypatch):\n    monkeypatch.setattr('tests.test_calc.add', lambda a, b: 3)\n"
SWALLOWED = "    try:\n        assert add(1, 2) == 3\n    except AssertionError:\n        pass\n"
PLATFORM = "@pytest.mark.skipif(sys.platform == 'win32', reason='posix')\ndef test_p():\n    assert add(1, 0)\n\n\ndef test_close"
CHECKED = (
    "def check(a, b, c):\n    assert add(a, b) == c\n\n\ndef test_add():\n    check(1, 2, 3)\n    check(2, 2, 4)\n"
)
CASES_OF = "@pytest.mark.parametrize(('a', 'b', 'c'), [(1, 2, 3), (2, 2, 4)])\ndef test_add(a, b, c):\n    assert add(a, b) == c\n"
TABLE = "TABLE = {(1, 2): 3, (2, 2): 4}\n\n\ndef test_add():\n    for (a, b), c in TABLE.items():\n        assert add(a, b) == c\n"
LAZY = "import sys\nimport types\n\n\nclass Lazy(types.ModuleType):\n    pass\n\n\nsys.modules[__name__].__class__ = Lazy\n"
RUNS = "import subprocess\nimport sys\n\n\ndef check():\n    return subprocess.run([sys.executable, '-m', 'pytest', '--junitxml=out.xml']).returncode\n"
MAIN = "import sys\n\n\ndef main():\n    sys.exit(0)\n\n\nif __name__ == '__main__':\n    sys.exit(main())\n"
UNITTEST = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_u(self):\n        self.assertEqual(1, 1)\n\n\nif __name__ == '__main__':\n    unittest.main()\n"
CASES = (
    # what configures a run
    changed("a conftest.py", "tests/conftest.py", "import pytest\n", "configuration"),
    changed("a pytest.ini", "pytest.ini", "[pytest]\naddopts = -k nothing\n", "configuration"),
    changed(
        "options of pytest in pyproject.toml",
        "pyproject.toml",
        PYPROJECT.replace("-q", "-q --collect-only"),
        "configuration",
    ),
    changed("coverage set up in setup.cfg", "setup.cfg", "[coverage:report]\nfail_under = 0\n", "configuration"),
    changed(
        "a registered plugin of pytest",
        "pyproject.toml",
        PYPROJECT + '[project.entry-points.pytest11]\nx = "src.calc"\n',
        "configuration",
    ),
    changed(
        "a plugin of pytest by made-up metadata",
        "x.egg-info/entry_points.txt",
        "[pytest11]\nx = src.calc\n",
        "configuration",
    ),
    changed("a sitecustomize.py", "src/sitecustomize.py", "x = 1\n", "configuration"),
    changed("a .pth file", "hook.pth", "import os\n", "configuration"),
    changed("a planted compiled module", "src/__pycache__/calc.cpython-311.pyc", b"\x00", "configuration"),
    changed("a CI file", ".github/workflows/ci.yml", "on: push\n", "configuration"),
    changed("a module in the place of pytest", "pytest.py", "x = 1\n", "shadow"),
    changed("a package in the place of unittest", "src/unittest/__init__.py", "x = 1\n", "shadow"),
    changed("a module beside the tests in the place of random", "tests/random.py", "x = 1\n", "shadow"),
    Example(
        name="the script that a check runs",
        base={**BASE, "ci/lint.sh": "ruff check .\n"},
        change={"ci/lint.sh": "true\n"},
        policy={"checks": [{"name": "lint", "run": ["bash", "ci/lint.sh"]}]},
        expects=("tamper.configuration",),
    ),
    Example(
        name="the Makefile that a check runs",
        base={**BASE, "Makefile": "lint:\n\truff check .\n"},
        change={"Makefile": "lint:\n\ttrue\n"},
        policy={"checks": [{"name": "lint", "run": ["make", "lint"]}]},
        expects=("tamper.configuration",),
    ),
    Example(
        name="a conftest.py renamed away",
        base={**BASE, "conftest.py": "a = 1\nb = 2\nc = 3\n"},
        change={"conftest.py": None, "old.py": "a = 1\nb = 2\nc = 3\n"},
        expects=("tamper.configuration",),
    ),
    changed("a golden file", "tests/golden/out.json", "[2]\n", "snapshot"),
    # tests that check less
    tests("an assertion removed", ADD, "", "weakened"),
    tests("an assertion that is always true", "add(1, 2) == 3", "True", "weakened"),
    tests("or True", "add(1, 2) == 3", "add(1, 2) == 3 or True", "weakened"),
    tests("an assertion of a tuple", "assert add(1, 2) == 3", "assert (add(1, 2) == 3, 'must be 3')", "weakened"),
    tests("an assertion of a length", "add(1, 2) == 3", "len(str(add(1, 2))) >= 0", "weakened"),
    tests("an equality that became mere truth", "add(1, 2) == 3", "add(1, 2)", "weakened"),
    tests("a return before the assertions", "def test_add():\n", "def test_add():\n    return\n", "weakened"),
    tests("a failure swallowed", ADD, SWALLOWED, "weakened"),
    tests(
        "a failure suppressed",
        ADD,
        "    with contextlib.suppress(Exception):\n        assert add(1, 2) == 3\n",
        "weakened",
    ),
    tests("an assertion under an if", ADD, "    if add(1, 2) == 3:\n        assert add(1, 2) == 3\n", "weakened"),
    tests("an expected error widened", 'TypeError, match="unsupported"', "Exception", "weakened"),
    tests("cases removed", "[1, 2, 3]", "[1]", "weakened"),
    tests(
        "an assertion moved where nobody calls it",
        ADD,
        "    pass\n\n\ndef unused():\n    assert add(1, 2) == 3\n\n\ndef test_rest():\n",
        "weakened",
    ),
    tests("a tolerance widened", "rel=1e-6", "rel=10", "loosened"),
    tests("a bound raised", "add(1, 1) < 3", "add(1, 1) < 300", "loosened"),
    tests("another value expected", "add(1, 2) == 3", "add(1, 2) == -1", "expectation"),
    tests("a test skipped", "def test_add", "@pytest.mark.skipif(True, reason='later')\ndef test_add", "skipped"),
    tests("a test that may fail", "def test_add", "@pytest.mark.xfail\ndef test_add", "skipped"),
    tests(
        "every test of the file skipped", "import pytest\n", "import pytest\npytestmark = pytest.mark.skip\n", "skipped"
    ),
    tests("a test replaced by a name", "def test_close", "test_add = lambda: None\n\n\ndef test_close", "skipped"),
    tests(
        "a test wrapped", "def test_add", "def calm(f):\n    return lambda: None\n\n\n@calm\ndef test_add", "skipped"
    ),
    Example(
        name="the tested function mocked",
        base=BASE,
        change={"src/calc.py": CODE + "x = 1\n", "tests/test_calc.py": TESTS.replace("def test_add():\n", MOCK)},
        expects=("tamper.mocked",),
    ),
    Example(
        name="a helper of the tests made empty",
        base={"tests/test_x.py": "def same(a, b):\n    assert a == b\n\n\ndef test_x():\n    same(1, 1 * 1)\n"},
        change={"tests/test_x.py": "def same(a, b):\n    pass\n\n\ndef test_x():\n    same(1, 1 * 1)\n"},
        expects=("tamper.weakened", "tamper.weakened"),
    ),
    Example(
        name="an assertion removed where the ticket names the test file",
        base=BASE,
        change={"tests/test_calc.py": TESTS.replace(ADD, "")},
        ticket=NAMED,
        expects=("tamper.weakened",),
    ),
    # code that reaches for the runner
    code("the runner patched", "import _pytest.runner as r\nr.TestReport.outcome = 'passed'\n", "patch"),
    code(
        "assertions of unittest patched", "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n", "patch"
    ),
    code("a patch by setattr", "from _pytest import reports\nsetattr(reports, 'TestReport', None)\n", "patch"),
    code("an import hook", "import sys\nsys.meta_path.insert(0, object())\n", "import-hook"),
    code("another module in the place of pytest", "import sys\nsys.modules['pytest'] = sys\n", "import-hook"),
    code("an exit when imported", "import os\nos._exit(0)\n", "exit"),
    code("an exit under another name", "from sys import exit as done\ndone(0)\n", "exit"),
    code(
        "an exit with success in a function",
        "import atexit, os\n\n\n@atexit.register\ndef end():\n    os._exit(0)\n",
        "exit",
    ),
    code("the name of the running test", "import os\nT = os.environ.get('PYTEST_CURRENT_TEST')\n", "test-detection"),
    code("whether pytest is loaded", "import sys\nT = 'pytest' in sys.modules\n", "test-detection"),
    code(
        "callers inspected",
        "import sys\n\n\ndef who():\n    return 'test_add' in sys._getframe(1).f_code.co_name\n",
        "frames",
    ),
    code(
        "equal to everything", "class Number(int):\n    def __eq__(self, other):\n        return True\n", "always-equal"
    ),
    code("a trace function", "import sys\nsys.settrace(print)\n", "trace"),
    code("encoded code", "import base64\nexec(base64.b64decode('cGFzcw=='))\n", "hidden-code"),
    changed("a new test file that loads plugins", "tests/test_new.py", "pytest_plugins = ['src.calc']\n", "plugin"),
    changed(
        "a new test file that ends the run",
        "tests/test_new.py",
        "import pytest\n\n\ndef test_n():\n    pytest.exit('ok', returncode=0)\n",
        "exit",
    ),
    changed(
        "a new test file that replaces the product",
        "tests/test_new.py",
        "import src.calc\n\nsrc.calc.add = lambda a, b: 3\n",
        "patch",
    ),
    # honest
    tests(
        "tests and assertions added",
        ADD,
        ADD + "    assert add(0, 0) == 0\n\n\ndef test_more():\n    assert add(5, 5) == 10\n",
    ),
    tests("a test renamed", "def test_add", "def test_sum_of_two"),
    tests("a test split in two", "    assert add(2, 2) == 4\n", "\n\ndef test_two():\n    assert add(2, 2) == 4\n"),
    tests("assertions turned into cases", "def test_add():\n" + BOTH, CASES_OF),
    tests("assertions turned into a loop over a table", "def test_add():\n" + BOTH, TABLE),
    tests("assertions moved into a helper", "def test_add():\n" + BOTH, CHECKED),
    tests("a bound tightened", "rel=1e-6", "rel=1e-9"),
    tests("a new test with a skip for one system", "def test_close", PLATFORM),
    Example(
        name="tests moved to another file",
        base=BASE,
        change={
            "tests/test_calc.py": TESTS.replace("def test_add():\n" + BOTH, ""),
            "tests/test_add.py": "from src.calc import add\n\n\ndef test_add():\n" + BOTH,
        },
    ),
    Example(
        name="another value expected where the ticket names the test file",
        base=BASE,
        change={"tests/test_calc.py": TESTS.replace("add(1, 2) == 3", "add(1, 2) == 4")},
        ticket=NAMED,
    ),
    Example(
        name="a conftest.py that the ticket names",
        base=BASE,
        change={"tests/conftest.py": "import pytest\n"},
        ticket={"scope": {"write": ["src/**"], "new": ["**/conftest.py"]}},
    ),
    Example(
        name="a conftest.py by hand, without a ticket",
        base=BASE,
        change={"tests/conftest.py": "import pytest\n"},
        ticket=None,
    ),
    changed(
        "other parts of pyproject.toml",
        "pyproject.toml",
        PYPROJECT.replace('"x"', '"y"') + "[tool.ruff]\nline-length = 100\n",
    ),
    changed("a new golden file", "tests/golden/more.json", "[3]\n"),
    changed("an exit in the main function of a command", "src/cli.py", MAIN),
    code("clean-up at the end", "import atexit\nimport logging\n\natexit.register(logging.shutdown)\n"),
    code("the caller's line for a log", "import inspect\n\n\ndef where():\n    return inspect.stack()[1].lineno\n"),
    code("a child process that ends", "import os\n\n\ndef child():\n    if os.fork() == 0:\n        os._exit(0)\n"),
    code("an equality that compares", "class P:\n    def __eq__(self, other):\n        return self.x == other.x\n"),
    code("a module that loads lazily", LAZY),
    code("a command that runs pytest", RUNS),
    changed("a module named like one of the library inside a package", "src/app/logging.py", "x = 1\n"),
    changed("a test of unittest", "tests/test_u.py", UNITTEST),
    changed(
        "a new test that needs a library",
        "tests/test_n.py",
        "import pytest\n\nnumpy = pytest.importorskip('numpy')\n\n\ndef test_n():\n    assert numpy\n",
    ),
    Example(
        name="what was at the base, moved to another file",
        base={"src/a.py": "import sys\n\nT = 'pytest' in sys.modules\n", "src/b.py": "b = 1\n"},
        change={"src/a.py": "a = 1\n", "src/b.py": "import sys\n\nb = 1\nT = 'pytest' in sys.modules\n"},
    ),
)
