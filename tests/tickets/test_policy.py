from __future__ import annotations

import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from demo_project import ROOT
from tickets.agents import Agent
from tickets.errors import FileError
from tickets.model import TicketLimits
from tickets.policy import Limits, Policy, read_policy

# the figures of the contract, section 3
DEFAULTS: dict[str, Any] = {
    "version": 1,
    "project.target": "main",
    "state.dir": ".orchestrate",
    "state.database_url": "",
    "state.worktrees": "",
    "planning.lead": "recipes",
    "planning.max_tickets": 10,
    "planning.on_ambiguity": "default",
    "dispatch.parallel": 3,
    "dispatch.attempts": 3,
    "dispatch.timeout_s": 1800,
    "worktree.setup": (),
    "worktree.link": (),
    "worktree.python": "auto",
    "sandbox.mode": "auto",
    "sandbox.network": ("127.0.0.1",),
    "scope.deny": ("orchestrate.toml", ".github/**", ".ci/**", "**/*.lock"),
    "scope.shared_interfaces": (),
    "limits.file_lines": 200,
    "limits.function_lines": 30,
    "limits.complexity": 10,
    "limits.nesting": 3,
    "limits.parameters": 6,
    "limits.changed_files": 12,
    "limits.changed_lines": 600,
    "tests.run": ("python", "-m", "pytest"),
    "tests.timeout_s": 900,
    "checks": (),
    "cost.auto_below_usd": 5,
    "cost.stop_from_usd": 20,
    "cost.day_cap_usd": 20,
    "cost.rates": "rates.toml",
    "cost.max_age_days": 90,
}
CONTRACT = """\
version = 1
[project]
name = "experiment_hub"
target = "main"
[state]
dir = ".orchestrate"
database_url = ""
worktrees = ""
[planning]
lead = "recipes"
max_tickets = 10
on_ambiguity = "default"
[dispatch]
parallel = 3
attempts = 3
timeout_s = 1800
[agents.recipes]
kind = "recipes"
[agents.coder]
kind = "command"
command = ["my-agent", "--flag"]
max_usd = 2.0
[roles]
executor = "coder"
auditor = "coder"
[worktree]
setup = []
copy = [".env"]
link = []
python = "auto"
[sandbox]
mode = "auto"
network = ["127.0.0.1"]
[scope]
deny = ["orchestrate.toml", ".github/**", ".ci/**", "**/*.lock"]
shared_interfaces = []
[limits]
file_lines = 200
function_lines = 30
complexity = 10
nesting = 3
parameters = 6
changed_files = 12
changed_lines = 600
[tests]
run = ["python", "-m", "pytest"]
timeout_s = 900
[[checks]]
name = "lint"
run = ["ruff", "check", "."]
timeout_s = 120
[cost]
auto_below_usd = 5.0
stop_from_usd = 20.0
day_cap_usd = 20.0
rates = "rates.toml"
max_age_days = 90
"""


def at(policy: Policy, key: str) -> object:
    value: object = policy
    for part in key.split("."):
        value = getattr(value, part)
    return value


@pytest.mark.parametrize("key", DEFAULTS)
def test_the_defaults_are_those_of_the_contract(key: str) -> None:
    assert at(Policy(), key) == DEFAULTS[key]
    assert at(read_policy(""), key) == DEFAULTS[key]
    if key != "checks":
        assert at(read_policy(CONTRACT), key) == DEFAULTS[key]


def test_the_example_of_the_contract_is_read_as_it_stands() -> None:
    policy = read_policy(CONTRACT)
    assert policy.project.name == "experiment_hub"
    assert policy.worktree.copy_ == (".env",)
    assert policy.agents["coder"] == Agent(kind="command", command=("my-agent", "--flag"), max_usd=2)
    assert policy.roles == {"executor": "coder", "auditor": "coder"}
    assert [(check.name, check.run, check.timeout_s) for check in policy.checks] == [
        ("lint", ("ruff", "check", "."), 120)
    ]


@pytest.mark.parametrize(
    ("text", "line", "key", "said"),
    [
        ("version = 2", 1, "version", "expected 1, not 2"),
        ("version = true", 1, "version", "1, not True"),
        ("version = 1.0", 1, "version", "1, not 1.0"),
        ('version = "1"', 1, "version", "1"),
        ("\nversion = 0", 2, "version", "1"),
        ("bogus = 1", 1, "bogus", "no such key"),
        ("\n[bogus]\nx = 1", 2, "bogus", "no such key"),
        ("\n[bogus.sub]\nx = 1", 2, "bogus", "no such key"),
        ("[project]\n\nbogus = 1", 3, "project.bogus", "no such key"),
        ("project.bogus = 1", 1, "project.bogus", "no such key"),
        ("project = {name = 'x', bogus = 1}", 1, "project.bogus", "no such key"),
        ("[agents.x]\nkind = 'recipes'\nbogus = 1", 3, "agents.x.bogus", "no such key"),
        ("[agents.str]\nkind = 'recipes'\nbogus = 1", 3, "agents.str.bogus", "no such key"),
        ("[worktree]\nsetup = [\n  ['uv', 'sync']\n]\nbogus = 1", 5, "worktree.bogus", "no such key"),
        ("[tests]\njunit = '''\n[limits]\nfile_lines = 3'''\nbogus = 1", 5, "tests.bogus", "no such key"),
        (
            "[[checks]]\nname = 'a'\nrun = ['x']\n[[checks]]\nname = 'b'\nrun = ['x']\nbogus = 1",
            7,
            "checks.1.bogus",
            "no such key",
        ),
        ("[[checks]]\nname = 'a'\n\n[[checks]]\nname = 'b'\nrun = 'ruff'", 6, "checks.1.run", "array"),
        (
            "[[checks]]\nname = 'a'\nrun = ['x']\n[[checks]]\nname = 'a'\nrun = ['y']",
            5,
            "checks.1.name",
            "its own, not 'a' again",
        ),
        ("[[checks]]\nname = 'a'\nrun = []", 3, "checks.0.run", "at least 1"),
        ("[checks]\nname = 'a'", 1, "checks", "array"),
        (
            "[[checks]]\nname = 'a'\nrun = ['sh', '-c', 'x || true']",
            3,
            "checks.0.run",
            "`|| true` swallows its exit code",
        ),
        ("[[checks]]\nname = 'a'\nrun = ['ruff', 'check', '--exit-zero']", 3, "checks.0.run", "never finds anything"),
        (
            "[[checks]]\nname = 'a'\nrun = ['x']\nparser = 'regex'\npattern = '(?P<message>['",
            5,
            "checks.0.pattern",
            "a regular expression of Python",
        ),
        (
            "[[checks]]\nname = 'a'\nrun = ['x']\nparser = 'regex'\npattern = '.*'",
            5,
            "checks.0.pattern",
            "the group (?P<message>...)",
        ),
        (
            "\n[[checks]]\nname = 'a'\nrun = ['x']\nparser = 'sarif'",
            2,
            "checks.0",
            "`report` where the parser is junit or sarif",
        ),
        (
            "\n[[checks]]\nname = 'a'\nrun = ['x']\npattern = '(?P<message>.)'",
            2,
            "checks.0",
            "`pattern` where the parser is regex",
        ),
        (
            "[[checks]]\nname = 'a'\nrun = ['x']\nparser = 'junit'\nreport = '../r.xml'",
            5,
            "checks.0.report",
            "inside the repository",
        ),
        ("[[checks]]\nname = 'a'\nrun = ['x']\ncwd = '/tmp'", 4, "checks.0.cwd", "relative"),
        ("\n[audit]\nwhen = 'always'", 3, "audit.when", "named as `auditor` under [roles]"),
        (
            "[limits]\nfile_lines = 20\nfunction_lines = 30",
            3,
            "limits.function_lines",
            "at most file_lines (20), not 30",
        ),
        ("[limits]\nchanged_files = 0", 2, "limits.changed_files", "at least 1"),
        ("[limits]\nchanged_lines = 0", 2, "limits.changed_lines", "at least 1"),
        ("[limits]\ngenerated = ['**/*']", 2, "limits.generated.0", "which is every file"),
        ("[scope]\ndeny = ['a', '**']", 2, "scope.deny.1", "not '**', which is every file"),
        (
            "[scope]\ndeny = ['a.py']\nshared_interfaces = ['b.py', 'a.py']",
            3,
            "scope.shared_interfaces.1",
            "name it in one of the two",
        ),
        ("[dispatch]\nparallel = '3'", 2, "dispatch.parallel", "integer, not '3'"),
        ("[dispatch]\nparallel = true", 2, "dispatch.parallel", "integer, not True"),
        ("[dispatch]\nparallel = 3.0", 2, "dispatch.parallel", "integer, not 3.0"),
        ("[dispatch]\nparallel = 0", 2, "dispatch.parallel", "greater than or equal to 1"),
        ("[dispatch]\nparallel = 65", 2, "dispatch.parallel", "less than or equal to 64"),
        ("[dispatch]\nattempts = 0", 2, "dispatch.attempts", "greater than or equal to 1"),
        ("[dispatch]\ntimeout_s = 0", 2, "dispatch.timeout_s", "greater than 0"),
        ("[dispatch]\ntimeout_s = nan", 2, "dispatch.timeout_s", "finite"),
        ("[dispatch]\ntimeout_s = inf", 2, "dispatch.timeout_s", "finite"),
        ("[dispatch]\ntimeout_s = '5'", 2, "dispatch.timeout_s", "number"),
        ("[planning]\nmax_tickets = 0", 2, "planning.max_tickets", "greater than 0"),
        ("[planning]\non_ambiguity = 'guess'", 2, "planning.on_ambiguity", "'ask', 'default' or 'refuse'"),
        ("[planning]\nlead = 'nobody'", 2, "planning.lead", "one of [agents.*] (recipes), not 'nobody'"),
        ("[agents.c]\nkind = 'recipes'\n[roles]\nexecutor = 'gone'", 4, "roles.executor", "(c, recipes), not 'gone'"),
        ("[roles]\nstr = 5", 2, "roles.str", "string"),
        ("[agents.c]\nkind = 'magic'", 2, "agents.c.kind", "'command'"),
        ("\n[agents.c]\nkind = 'command'", 2, "agents.c", "`command` with the program"),
        ("\n[agents.c]\nkind = 'scripted'", 2, "agents.c", "`script` with the YAML"),
        ("[agents.c]\nkind = 'recipes'\nmax_usd = -1", 3, "agents.c.max_usd", "greater than or equal to 0"),
        ("[agents.'a b']\nkind = 'recipes'", 1, "agents.a b", "matches"),
        ("[project]\nname = ''", 2, "project.name", "matches"),
        ("[project]\nname = 'a/b'", 2, "project.name", "matches"),
        ("[project]\ntarget = ' '", 2, "project.target", "at least 1"),
        ("[state]\ndir = '../x'", 2, "state.dir", "inside the repository"),
        ("[state]\ndir = '/x'", 2, "state.dir", "relative"),
        ("[state]\ndir = '.git/x'", 2, "state.dir", "outside .git"),
        ("[sandbox]\nmode = 'docker'", 2, "sandbox.mode", "'auto'"),
        ("[sandbox]\nnetwork = '127.0.0.1'", 2, "sandbox.network", "array"),
        ("[scope]\ndeny = ['a', '/etc/**']", 2, "scope.deny.1", "relative"),
        ("[limits]\nfile_lines = 0", 2, "limits.file_lines", "greater than or equal to 1"),
        ("[limits]\nchanged_files = -1", 2, "limits.changed_files", "greater than or equal to 0"),
        ("[cost]\nauto_below_usd = nan", 2, "cost.auto_below_usd", "finite"),
        ("[cost]\nday_cap_usd = -0.5", 2, "cost.day_cap_usd", "greater than or equal to 0"),
        ("\n[cost]\nauto_below_usd = 30", 2, "cost", "at least auto_below_usd (30.0), not 20.0"),
        ("[cost]\nmax_age_days = 0", 2, "cost.max_age_days", "greater than 0"),
        ("a = ", 1, "", "valid TOML"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(text: str, line: int, key: str, said: str) -> None:
    with pytest.raises(FileError) as caught:
        read_policy(text, "conf.toml")
    found = [(problem.file, problem.line, problem.key) for problem in caught.value.problems]
    assert ("conf.toml", line, key) in found
    assert said in next(problem.expected for problem in caught.value.problems if problem.key == key)


@pytest.mark.parametrize(
    "text",
    [
        "[limits]\nfile_lines = 20",
        "[limits]\nfile_lines = 30\nfunction_lines = 30",
        "[scope]\ndeny = ['*', 'src/**']",
        "[[checks]]\nname = 'a'\nrun = ['sh', 'x.sh']\nparser = 'junit'\nreport = 'r.xml'\ncwd = 'sub/'",
        "[[checks]]\nname = 'a'\nrun = ['x']\nparser = 'regex'\npattern = '(?P<path>.+):(?P<line>.+):(?P<message>.+)'",
        "[agents.c]\nkind = 'command'\ncommand = ['x']\n[roles]\nauditor = 'c'\n[audit]\nwhen = 'always'",
    ],
)
def test_what_only_looks_like_a_contradiction_is_taken(text: str) -> None:
    assert read_policy(text).version == 1


def test_an_integer_is_taken_where_a_number_is_asked_for() -> None:
    policy = read_policy("[cost]\nauto_below_usd = 3\n[dispatch]\ntimeout_s = 60")
    assert (policy.cost.auto_below_usd, policy.dispatch.timeout_s) == (3.0, 60.0)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(FileError) as caught:
        read_policy("version = 3\n[limits]\nnesting = 'x'\n[cost]\nodd = 1")
    assert [problem.line for problem in caught.value.problems] == [1, 3, 5]


@pytest.mark.parametrize("folder", [".state", ".state/", "./.state//"])
def test_a_folder_is_the_same_folder_with_a_slash_behind_it(folder: str) -> None:
    text = f"[state]\ndir = '{folder}'\n[worktree]\nlink = ['{folder}']\ncopy = ['{folder}']"
    policy = read_policy(text)
    assert (policy.state.dir, policy.worktree.link, policy.worktree.copy_) == (".state", (".state",), (".state",))


def test_the_embedded_agent_needs_no_table() -> None:
    policy = read_policy("[agents.c]\nkind = 'command'\ncommand = ['x']\n[roles]\nexecutor = 'recipes'")
    assert policy.agent("recipes").kind == "recipes"
    assert policy.agent_for("executor") == "recipes"


def test_a_role_that_is_not_named_is_played_by_the_lead() -> None:
    policy = read_policy(
        "[planning]\nlead = 'c'\n[agents.c]\nkind = 'command'\ncommand = ['x']\n[roles]\nlead = 'recipes'\nauditor = 'recipes'"
    )
    assert policy.agent_for("executor") == "c"
    assert policy.agent_for("auditor") == "recipes"
    assert policy.agent_for("lead") == "c"


def test_a_ticket_tightens_limits_and_does_not_widen_them() -> None:
    limits, asked = Limits(), TicketLimits(file_lines=100, complexity=99, changed_files=0)
    assert limits.tightened(asked) == limits.model_copy(update={"file_lines": 100, "changed_files": 0})
    assert limits.widened_by(asked) == {"complexity": 99}
    assert limits.tightened(TicketLimits()) == limits


@pytest.mark.parametrize(
    "text", ["[limits]\nnesting = 4", "[scope]\ndeny = []", "[project]\nname = 'x'", "[tests]\nrun = []"]
)
def test_another_policy_has_another_hash(text: str) -> None:
    assert read_policy(text).sha256 != read_policy("").sha256
    assert read_policy(text).sha256 == read_policy(f"# a comment\n{text}").sha256


def test_a_policy_is_frozen() -> None:
    for part, field in ((Policy(), "version"), (Policy().limits, "nesting")):
        with pytest.raises(ValidationError):
            setattr(part, field, 1)


def test_the_page_about_the_configuration_shows_every_key_with_its_default() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    text = page.split("```toml")[1].split("```")[0]
    shown = read_policy(text)
    assert set(tomllib.loads(text)) == set(Policy.model_fields)
    for name in set(Policy.model_fields) - {"agents", "roles", "checks", "project", "sandbox", "hooks"}:
        assert getattr(shown, name) == getattr(Policy(), name), name
    for section in (
        "sandbox",
        "scope",
        "limits",
        "cost",
        "imports",
        "audit",
        "spend",
        "train",
        "landing",
        "retention",
        "notify",
    ):
        keys = set(tomllib.loads(text)[section]) | {"memory_mib"}
        assert keys >= set(type(getattr(shown, section)).model_fields), section


def test_the_rate_card_on_that_page_is_one() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    card = tomllib.loads(page.split("```toml")[2].split("```")[0])
    assert set(card) == {"source", "date", "currency", "gpus"}
