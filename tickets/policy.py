"""The policy of a repository: `orchestrate.toml`, strict, with the defaults of the contract."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, StringConstraints, model_validator

from tickets.agents import Agent, Name
from tickets.documents import Strict, read_toml, validate
from tickets.errors import FileError
from tickets.globs import matches_everything, normalise
from tickets.grants import limit_need
from tickets.model import Argv, FilledLine, Glob, Seconds, TicketLimits
from tickets.notify import Hook, NotifyPolicy, repeated
from tickets.spending import Spend
from tickets.train import LandingPolicy, RetentionPolicy, TrainPolicy
from tickets.vacuous import cannot_fail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tickets.grants import Grant
    from tickets.model import Ticket

POLICY_FILE = "orchestrate.toml"
Demand = Literal["auto", "always", "never"]


class Project(Strict):
    name: Name = "project"
    target: FilledLine = "main"


def _place(path: str) -> str:
    """Take `folder/` for what it is here, a folder, and not for the glob of all that is in it."""
    return normalise(path.rstrip("/") if path.strip("/") else path)


Place = Annotated[str, AfterValidator(_place)]


class StateSection(Strict):
    dir: Place = ".orchestrate"
    database_url: str = ""
    worktrees: str = ""
    lease_s: float = Field(default=30.0, ge=1, le=3600)
    """Of several clones: what one of them was at work on is taken over when it has not been heard of for so long."""


class Planning(Strict):
    lead: Name = "recipes"
    max_tickets: PositiveInt = 10
    on_ambiguity: Literal["ask", "default", "refuse"] = "default"
    """What becomes of questions that the request leaves open: a person is asked before anything starts, their defaults are assumed
    and recorded, or the request is refused."""
    follow_up: Literal["auto", "never"] = "auto"
    """Whether the lead is asked about questions and findings in an attempt's report that are beyond its ticket."""
    max_follow_ups: int = Field(default=3, ge=0, le=50)
    """For one feature."""


class Dispatch(Strict):
    parallel: int = Field(default=3, ge=1, le=64)
    attempts: int = Field(default=3, ge=1, le=20)
    timeout_s: Seconds = 1800.0


class Worktree(Strict):
    setup: tuple[Argv, ...] = ()
    copy_: tuple[Place, ...] = Field(default=(), alias="copy")
    link: tuple[Place, ...] = ()
    python: Literal["auto", "shared", "own"] = "auto"


def _host(entry: str) -> str:
    if not re.fullmatch(r"(\*|(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9a-fA-F:]+\]|::1)(:[0-9]{1,5})?", entry):
        raise ValueError(f"a host, with a port where it is not 443 (api.example.org:8443), not {entry!r}")
    port = entry.rpartition(":")[2]
    if port.isdigit() and not 0 < int(port) < 1 << 16:
        raise ValueError(f"a port from 1 to 65535, not {port}")
    return entry


Host = Annotated[str, AfterValidator(_host)]


class Sandbox(Strict):
    mode: Literal["auto", "bubblewrap", "landlock", "none"] = "auto"
    network: tuple[Host, ...] = ("127.0.0.1",)
    """Hosts that agents and set-up commands may reach (`api.example.org`, `*.example.org:8443`), and ports of this machine
    (`127.0.0.1:8000`). A loopback address alone is the agent's own. Gates have no network."""
    disk_mib: PositiveInt = 2048
    """How much one attempt may write in all."""
    file_mib: PositiveInt = 1024
    """How large one file may become; a file with holes counts with its whole length."""
    memory_mib: PositiveInt | None = None
    """How much memory the processes of one attempt, or of one command of a gate, may hold; three quarters of the machine's."""
    processes: PositiveInt = 512
    """How many of them may be alive at once."""


class ScopePolicy(Strict):
    deny: tuple[Glob, ...] = (POLICY_FILE, ".github/**", ".ci/**", "**/*.lock")
    shared_interfaces: tuple[Glob, ...] = ()


class Limits(Strict):
    file_lines: int = Field(default=200, ge=1)
    function_lines: int = Field(default=30, ge=1)
    complexity: int = Field(default=10, ge=1)
    nesting: int = Field(default=3, ge=1)
    parameters: int = Field(default=6, ge=0)
    changed_files: int = Field(default=12, ge=0)
    changed_lines: int = Field(default=600, ge=0)
    generated: tuple[Glob, ...] = ()
    """Files whose lines are not counted, besides those that say `@generated` in their first five lines."""

    def tightened(self, ticket: TicketLimits) -> Limits:
        """Apply what the ticket tightens; widening needs a grant and is not applied here."""
        asked = ticket.model_dump(exclude_none=True)
        return self.model_copy(update={name: min(value, getattr(self, name)) for name, value in asked.items()})

    def permitted(self, ticket: Ticket, grants: Iterable[Grant]) -> Limits:
        """Apply what the ticket tightens, and what a person permitted it to widen."""
        known = {grant.identity for grant in grants if grant.in_force()}
        limits = self.tightened(ticket.limits)
        widened = self.widened_by(ticket.limits).items()
        granted = {name: value for name, value in widened if limit_need(name, value).identity(ticket.sha256) in known}
        return limits.model_copy(update=granted)

    def widened_by(self, ticket: TicketLimits) -> dict[str, int]:
        asked = ticket.model_dump(exclude_none=True)
        return {name: value for name, value in asked.items() if value > getattr(self, name)}


class TestPolicy(Strict):
    __test__ = False  # not a test class, whatever pytest thinks of its name

    run: tuple[FilledLine, ...] = ("python", "-m", "pytest")
    """Empty for a repository that has no tests and says so."""
    timeout_s: Seconds = 900.0
    junit: str = ""
    """Where a runner other than pytest writes its JUnit XML, relative to the root."""


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"a regular expression of Python: {error}") from error
    if text and "message" not in groups:
        raise ValueError(
            "a pattern with the group (?P<message>...), and (?P<path>...) and (?P<line>...) where it knows them"
        )
    return text


class Check(Strict):
    name: Name
    run: Argv
    timeout_s: Seconds = 120.0
    cwd: Place | Literal[""] = ""
    """Working folder, relative to the tree's root."""
    parser: Literal["exit", "junit", "sarif", "regex"] = "exit"
    """How findings are read; the exit code must agree with them."""
    report: Place | Literal[""] = ""
    """For `junit` and `sarif`: the file that the check writes, relative to the tree's root."""
    pattern: Annotated[str, AfterValidator(_pattern), StringConstraints(max_length=1000)] = ""
    """For `regex`: matches one finding of a line of the output, with the groups path, line and message."""
    required: bool = True
    """An advisory check is reported and blocks nothing."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        for key, parsers in (("report", {"junit", "sarif"}), ("pattern", {"regex"})):
            if bool(getattr(self, key)) != (self.parser in parsers):
                raise ValueError(
                    f'`{key}` where the parser is {" or ".join(sorted(parsers))}, and nowhere else; it is "{self.parser}"'
                )
        return self


class StructurePolicy(Strict):
    docstrings: Demand = "auto"
    """Of public modules, classes and functions that the change adds. `auto`: where the base's code nearly always has them."""
    types: Demand = "auto"
    """Typed signatures of public functions that the change adds; `auto` as above."""


class StartUp(Strict):
    run: Argv
    max_ratio: float = Field(default=1.5, ge=1)
    """Against the same command at the base."""
    max_added_s: float = Field(default=0.1, ge=0)
    """An increase below this is never refused."""


class ImportsPolicy(Strict):
    heavy: tuple[FilledLine, ...] = ("torch", "tensorflow", "jax", "transformers")
    paths: tuple[Glob, ...] = ("**/cli.py", "**/__main__.py", "**/commands/**/*.py")
    """Where none of the heavy packages may be imported at module level."""
    startup: tuple[StartUp, ...] = ()
    """Commands whose start-up time is held against the base."""


class MigrationsPolicy(Strict):
    models: tuple[Glob, ...] = ("**/metadata/tables.py",)
    """Where the tables are declared."""
    versions: tuple[Glob, ...] = ("**/migrations/versions/*.py",)
    script_location: Place | Literal[""] = ""
    """Alembic's folder with env.py; empty: the one folder above `versions`."""
    metadata: str = ""
    """Import path of SQLAlchemy's MetaData, `package.module:Base.metadata`; empty: found in `models`."""


class MetricsPolicy(Strict):
    definitions: tuple[Glob, ...] = ("**/metrics/definitions/*.py",)
    changelog: Place = "CHANGELOG.md"
    migrations: tuple[Glob, ...] = ("**/migrations/versions/*.py",)


class ReproducibilityPolicy(Strict):
    paths: tuple[Glob, ...] = ("**/train*.py", "**/training/**/*.py", "**/trainers/**/*.py")
    """Training code: seeds, data paths and hyperparameters come from the configuration there."""
    defaults: tuple[Glob, ...] = ("**/configuration/*.py", "**/config.py", "**/conf/**/*.yaml", "**/configs/**/*.yaml")
    """Where defaults live: a changed one is declared in the report."""


class LoggingPolicy(Strict):
    paths: tuple[Glob, ...] = ("**/*.py",)
    exempt: tuple[Glob, ...] = ("tests/**", "**/tests/**", "benchmarks/**", "examples/**")


class PaidComputePolicy(Strict):
    paths: tuple[Glob, ...] = ("**/*.py",)
    exempt: tuple[Glob, ...] = ("tests/**", "**/tests/**")
    fan_out: Literal["spawn", "any"] = "spawn"
    """`spawn`: work is fanned out by `.spawn`, whose handles survive the caller; `.map` and `.starmap` are refused."""


class AuditPolicy(Strict):
    when: Literal["auto", "always", "never"] = "auto"
    """`auto`: when so many files changed and an auditor is named under [roles]."""
    files: PositiveInt = 3
    timeout_s: Seconds = 900.0
    """For each of the two phases."""


class SecretsPolicy(Strict):
    exempt: tuple[Glob, ...] = ()
    """Files of test keys and the like; what is named in them is still masked in reports."""
    known: tuple[Name, ...] = ()
    """Environment variables whose values are secrets wherever they turn up, besides those handed to agents."""


class CostPolicy(Strict):
    auto_below_usd: float = Field(default=5.0, ge=0)
    stop_from_usd: float = Field(default=20.0, ge=0)
    day_cap_usd: float = Field(default=20.0, ge=0)
    rates: Place = "rates.toml"
    max_age_days: PositiveInt = 90

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.stop_from_usd < self.auto_below_usd:
            raise ValueError(
                f"stop_from_usd of at least auto_below_usd ({self.auto_below_usd}), not {self.stop_from_usd}"
            )
        return self


def _embedded() -> dict[Name, Agent]:
    return {"recipes": Agent(kind="recipes")}


def _whole(value: object) -> object:
    """Refuse `true` and `1.0`, which are equal to 1 in Python."""
    if type(value) is bool or type(value) is float:
        raise ValueError(f"1, not {value!r}")
    return value


class Policy(Strict):
    version: Annotated[Literal[1], BeforeValidator(_whole)] = 1
    project: Project = Project()
    state: StateSection = StateSection()
    planning: Planning = Planning()
    dispatch: Dispatch = Dispatch()
    agents: dict[Name, Agent] = Field(default_factory=_embedded)
    roles: dict[Name, Name] = Field(default_factory=dict)
    """Which agent plays a role; the lead's agent where a role is not named."""
    worktree: Worktree = Worktree()
    sandbox: Sandbox = Sandbox()
    scope: ScopePolicy = ScopePolicy()
    limits: Limits = Limits()
    tests: TestPolicy = TestPolicy()
    checks: tuple[Check, ...] = ()
    cost: CostPolicy = CostPolicy()
    spend: Spend = Spend()
    structure: StructurePolicy = StructurePolicy()
    imports: ImportsPolicy = ImportsPolicy()
    migrations: MigrationsPolicy = MigrationsPolicy()
    metrics: MetricsPolicy = MetricsPolicy()
    reproducibility: ReproducibilityPolicy = ReproducibilityPolicy()
    logging: LoggingPolicy = LoggingPolicy()
    paid_compute: PaidComputePolicy = PaidComputePolicy()
    audit: AuditPolicy = AuditPolicy()
    secrets: SecretsPolicy = SecretsPolicy()
    train: TrainPolicy = TrainPolicy()
    landing: LandingPolicy = LandingPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    hooks: tuple[Hook, ...] = ()
    notify: NotifyPolicy = NotifyPolicy()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def agent(self, name: str) -> Agent:
        return self.agents.get(name) or Agent(kind="recipes")

    def agent_for(self, role: str) -> str:
        """Name the agent that plays the role; `lead` is set under [planning]."""
        return self.planning.lead if role == "lead" else self.roles.get(role, self.planning.lead)


def read_policy(text: str, name: str = POLICY_FILE) -> Policy:
    """Read the configuration; raise FileError with file, line, key and expectation for all that is wrong."""
    document = read_toml(text, name)
    policy = validate(Policy, document)
    if problems := [document.problem(*found) for found in (*_references(policy), *_contradictions(policy))]:
        raise FileError(*problems)
    return policy


def _references(policy: Policy) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give what the parts of the configuration say of each other and is not so."""
    known = f"one of [agents.*] ({', '.join(sorted({*policy.agents, 'recipes'}))})"
    named: dict[tuple[str, ...], str] = {
        ("planning", "lead"): policy.planning.lead,
        **{("roles", role): name for role, name in policy.roles.items()},
    }
    named |= {("agents", name, "fallback"): agent.fallback for name, agent in policy.agents.items() if agent.fallback}
    for key, name in named.items():
        if name not in policy.agents and name != "recipes":
            yield key, f"expected {'.'.join(key)} to name {known}, not {name!r}"
    for name, agent in policy.agents.items():
        if name in _successors(policy, agent):
            yield ("agents", name, "fallback"), f"expected agents one after another, not back to {name!r}"
    names = [check.name for check in policy.checks]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield ("checks", index, "name"), f"expected a name of its own, not {name!r} again"
    for index, check in enumerate(policy.checks):
        if why := cannot_fail(check.run):
            yield ("checks", index, "run"), f"expected a command that can fail: {why}"


def _successors(policy: Policy, agent: Agent) -> list[str]:
    """Name the agents that would take over, one after another."""
    found: list[str] = []
    while agent.fallback and agent.fallback not in found:
        found.append(agent.fallback)
        agent = policy.agent(agent.fallback)
    return found


def _contradictions(policy: Policy) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give what would let no ticket through, or makes a rule of the configuration say nothing."""
    limits = policy.limits
    yield from policy.landing.contradictions(policy.project.target)
    yield from repeated(policy.hooks)
    if policy.audit.when == "always" and "auditor" not in policy.roles:
        yield (
            ("audit", "when"),
            "expected an agent named as `auditor` under [roles], because every change is to be audited",
        )
    if "function_lines" in limits.model_fields_set and limits.function_lines > limits.file_lines:
        yield (
            ("limits", "function_lines"),
            f"expected at most file_lines ({limits.file_lines}), not {limits.function_lines}",
        )
    for name in ("changed_files", "changed_lines"):
        if getattr(limits, name) == 0:
            yield ("limits", name), "expected at least 1: with 0 no ticket could change anything"
    for key, patterns in ((("scope", "deny"), policy.scope.deny), (("limits", "generated"), limits.generated)):
        for index, pattern in enumerate(patterns):
            if matches_everything(pattern):
                yield (*key, index), f"expected some files, not {pattern!r}, which is every file"
    for index, pattern in enumerate(policy.scope.shared_interfaces):
        if pattern in policy.scope.deny:
            said = "which [scope].deny lets nobody change, grant or not; name it in one of the two"
            yield ("scope", "shared_interfaces", index), f"expected what a grant opens, not {pattern!r}, {said}"
