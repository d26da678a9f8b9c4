"""The real Claude Code against a scripted model: whole tickets, broken gates, and each trap as a fact that a new version may change."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from agents.causes import Cause
from agents.drivers.claude import ClaudeDriver
from agents.protocol import Assignment, PlanningTask
from agents.usage import NOTHING
from tickets.agents import Agent
from tickets.errors import InputError
from tickets.model import Ticket
from tickets.plan import read_plan
from workbench import Desk, Purse, Stage, forbidding, workbench
from worktrees.gateway import gateway
from worktrees.levels import trouble

if TYPE_CHECKING:
    from agents.protocol import Bench, Outcome
    from agents.scripted_model.server import ModelServer
    from worktrees.confinement import Level

pytestmark = pytest.mark.clients
BREAKER = Path(__file__).parents[1] / "support" / "claude_gate_breaker.py"
REPORT = {
    "summary": "calc adds now",
    "files_changed": "- src/calc.py",
    "verification": "- `python3 check.py`: passed",
    "risks_edge_cases": "none",
    "out_of_scope_issues_found": "none",
}
Model = Callable[..., "ModelServer"]
Step = dict[str, Any]


def call(tool: str, **given: Any) -> Step:
    return {"text": f"I use {tool}.", "tools": [{"name": tool, "input": given}]}


def shell(command: str) -> Step:
    return call("Bash", command=command, description="a command")


REPORTS = call("StructuredOutput", **REPORT)
LONG_COMMAND = "tail -f /dev/null"


def ticket() -> Ticket:
    draft = {
        "key": "calc",
        "title": "Mend calc",
        "objective": "Let calc add.",
        "non_goals": ["anything else"],
        "scope": {"write": ["src/**"], "new": ["src/calc.py"]},
        "acceptance": [{"run": "python3 check.py"}],
    }
    plan = read_plan(json.dumps({"request": "mend calc", "tickets": [draft]}), "plan", max_tickets=1)
    return Ticket.from_draft(plan.tickets[0], feature="F-0001", ids={"calc": "T-0001"})


@dataclass(kw_only=True)
class Lab:
    """A tree to work in, a driver of the real client, and what was asked of the gate."""

    folder: Path
    claude: Path
    serve: Model
    desk: Desk = field(default_factory=Desk)
    settings: dict[str, Any] = field(default_factory=dict)
    server: ModelServer | None = None

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    def file(self, name: str, text: str) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def driver(self, *command: str) -> ClaudeDriver:
        assert self.server is not None
        settings = Agent(kind="claude", command=command or (str(self.claude),), **self.settings)
        return ClaudeDriver(name="coder", settings=settings, root=self.folder).aimed_at(self.server.url)

    def bench(self, **chosen: Any) -> Bench:
        return workbench(self.folder, self.desk, **chosen)

    def work(self, *steps: Step, command: tuple[str, ...] = (), bench: Bench | None = None, **assigned: Any) -> Outcome:
        self.server = self.serve({"steps": list(steps)})
        task = Assignment(ticket=ticket(), attempt=1, brief="Mend calc.", bench=bench or self.bench(), **assigned)
        return self.driver(*command).work(task)

    def heard(self) -> list[str]:
        """Give what the model was told of its calls."""
        assert self.server is not None
        return [str(result) for row in self.server.requests() for result in row.get("results") or []]


@pytest.fixture
def place(claude: Path, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr("agents.drivers.claude.RETRIES", 1)  # each further one is a pause of seconds
    made = Lab(folder=tmp_path, claude=claude, serve=model)
    made.file("src/calc.py", "def add(a, b):\n    return a - b\n")
    made.file("check.py", "import sys\nsys.path.insert(0, 'src')\nfrom calc import add\nassert add(1, 2) == 3\n")
    return made


# whole tickets


@pytest.mark.parametrize("level", ["none", "landlock", "bubblewrap"])
def test_a_ticket_is_carried_out_at_each_level_of_isolation(place: Lab, level: Level) -> None:
    if why := trouble(level):
        pytest.skip(f"{level}: {why}")
    calc, evil = str(place.tree / "src/calc.py"), str(place.tree / "evil.py")
    place.desk.judge = forbidding("evil", "git")
    place.server = place.serve(
        {
            "steps": [
                call("Read", file_path=calc),
                call("Write", file_path=evil, content="x = 1\n"),
                shell("git commit -am sneaky"),
                call("Edit", file_path=calc, old_string="a - b", new_string="a + b"),
                shell("python -B check.py && echo the check passed"),
                REPORTS,
            ]
        }
    )
    port = place.server.url.removeprefix("http://")
    with gateway([port], level=level, log=place.folder / "network.log") as way:
        search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        variables = {**way.variables, "PATH": search}
        bench = place.bench(stage=Stage(level=level, opening=way.opening, variables=variables))
        task = Assignment(ticket=ticket(), attempt=1, brief="Mend calc.", bench=bench)
        outcome = place.driver().work(task)
    assert (outcome.cause, outcome.ending, outcome.reason) == (Cause.DONE, "done", ""), bench.log.read_text()
    assert outcome.report is not None
    assert outcome.report.startswith(
        "## Summary\n\ncalc adds now\n\n## Files Changed\n\n- src/calc.py\n\n## Verification"
    )
    assert (place.tree / "src/calc.py").read_text().endswith("a + b\n")
    assert not (place.tree / "evil.py").exists()
    heard = place.heard()
    assert any("evil is not in the ticket's scope" in text for text in heard)
    assert any("git is not in the ticket's scope" in text for text in heard)
    assert any("the check passed" in text for text in heard)
    assert outcome.sandbox == level
    assert outcome.client.startswith("claude 2.")
    assert (outcome.used.input, outcome.used.output) == (6000, 300)
    assert outcome.used.usd


def test_each_call_is_put_to_the_gate_under_the_clients_own_id(place: Lab) -> None:
    reads = [{"name": "Read", "input": {"file_path": str(place.tree / "check.py")}} for _ in range(8)]
    outcome = place.work({"text": "Reading.", "tools": reads}, shell("ls"), REPORTS)
    asked = [event["tool_use_id"] for event in place.desk.asked]
    assert sorted(made.id for made in outcome.calls) == sorted(asked)  # those made at once end in any order
    assert len(asked) == len(set(asked)) == 10
    assert {made.refused for made in outcome.calls} == {False}


def test_calls_that_the_client_itself_rejects_are_no_calls(place: Lab) -> None:
    outcome = place.work(
        call("Nope", a=1), call("Write", path=1), call("WebFetch", url="http://x", prompt="y"), shell("exit 3"), REPORTS
    )
    assert outcome.cause is Cause.DONE
    assert [made.tool for made in outcome.calls] == ["Bash", "StructuredOutput"]
    assert [event["tool_name"] for event in place.desk.asked] == ["Bash", "StructuredOutput"]


def test_a_report_in_words_stands_in_where_the_form_is_not_kept(place: Lab) -> None:
    outcome = place.work({"text": "## Summary\n\nin words"})
    assert (outcome.cause, outcome.report) == (Cause.DONE, "## Summary\n\nin words")
    assert place.server is not None
    told = [row["told"] for row in place.server.requests() if row.get("told")]
    assert "StructuredOutput" in told[-1]  # the client reminds it once
    assert len(told) == 2


def test_the_tools_of_a_lead_only_look(place: Lab) -> None:
    place.server = place.serve(
        {"steps": [call("Write", file_path=str(place.tree / "x"), content="x"), shell("touch y"), {"text": "the plan"}]}
    )
    facts: Any = None  # what a lead is told of the repository stands in its brief
    task = PlanningTask(request="mend", brief="Plan it.", facts=facts, bench=place.bench())
    assert place.driver().plan(task) == "the plan"
    assert sorted(path.name for path in place.tree.iterdir()) == ["check.py", "src"]
    assert place.desk.asked == []
    offered = {tool for row in place.server.requests() for tool in row.get("tools") or []}
    assert offered == {"DeferredToolPlaceholder", "Glob", "Grep", "Read"}  # the first stands for tools it might load


# a gate that is broken lets nothing through

BROKEN = ["error", "nothing", "null", "text", "list", "maybe", "ask", "other event", "no event", "nonsense", "silence"]


@pytest.mark.parametrize("how", [*BROKEN, "other request", "no JSON"])
def test_nothing_gets_through_a_broken_gate(place: Lab, how: str) -> None:
    outcome = place.work(
        call("Write", file_path=str(place.tree / "evil.py"), content="x = 1\n"),
        shell("echo evil > shell.txt"),
        {"text": "done"},
        command=(sys.executable, str(BREAKER), how, str(place.claude)),
        bench=place.bench(stage=Stage(timeout_s=30.0)),
    )
    assert place.desk.asked, "the gate was asked, and its answer spoilt"
    assert sorted(path.name for path in place.tree.iterdir()) == ["check.py", "src"]
    assert all(made.refused is not False for made in outcome.calls)


def test_a_gate_that_the_client_never_heard_of_keeps_it_from_starting(place: Lab) -> None:
    outcome = place.work(
        call("Write", file_path=str(place.tree / "evil.py"), content="x = 1\n"),
        {"text": "done"},
        command=(sys.executable, str(BREAKER), "missing", str(place.claude)),
    )
    assert outcome.cause is Cause.PROTOCOL, outcome.reason
    assert place.server is not None
    assert not [row for row in place.server.requests() if row.get("tools")]
    assert sorted(path.name for path in place.tree.iterdir()) == ["check.py", "src"]


def test_a_gate_that_raises_lets_nothing_through(place: Lab) -> None:
    def judge(_: object) -> Any:
        raise RuntimeError("the gate broke")

    place.desk.judge = judge
    with pytest.raises(RuntimeError, match="the gate broke"):
        place.work(call("Write", file_path=str(place.tree / "evil.py"), content="x"), {"text": "done"})
    assert sorted(path.name for path in place.tree.iterdir()) == ["check.py", "src"]


@pytest.mark.parametrize("path", ["evil.py", "{tree}/evil.py"])
def test_the_trial_proves_that_the_gate_is_armed(place: Lab, path: str) -> None:
    place.desk.judge = forbidding("evil")
    named = path.format(tree=place.tree)
    place.server = place.serve({"steps": [{"text": "for the address alone"}]})
    outcome = place.work(*place.driver().trial(named))
    assert outcome.cause is Cause.DONE
    assert [(made.tool, made.refused) for made in outcome.calls] == [("Write", True)]
    assert [event["tool_name"] for event in place.desk.asked] == ["Write"]
    assert not (place.tree / "evil.py").exists()


def test_settings_of_the_repository_and_the_home_do_not_switch_the_gate_off(place: Lab) -> None:
    off = json.dumps(
        {"disableAllHooks": True, "permissions": {"allow": ["Write", "Bash"], "defaultMode": "acceptEdits"}}
    )
    bench = place.bench()
    place.file(".claude/settings.json", off)
    place.file(".claude/settings.local.json", off)
    for home in (bench.session / "claude", bench.home / ".claude"):
        home.mkdir(parents=True)
        (home / "settings.json").write_text(off, encoding="utf-8")
    place.desk.judge = forbidding("evil")
    outcome = place.work(call("Write", file_path=str(place.tree / "evil.py"), content="x"), REPORTS, bench=bench)
    assert not (place.tree / "evil.py").exists()
    assert [made.refused for made in outcome.calls] == [True, False]


def test_guide_files_of_the_repository_are_not_read(place: Lab) -> None:
    place.file("CLAUDE.md", "GUIDEWORD\n")
    place.work({"text": "done"})
    assert place.server is not None
    seen = [json.dumps(row) for row in place.server.requests()]
    assert seen
    assert not any("GUIDEWORD" in row for row in seen)


# how runs end


def fault(**what: Any) -> Step:
    return {"fault": "status", **what}


TROUBLE: dict[str, tuple[Step, Cause]] = {
    "a wrong key": (fault(status=401), Cause.SIGN_IN),
    "an account that may not": (fault(status=403), Cause.SIGN_IN),
    "an unknown model": (fault(status=404), Cause.REFUSED),
    "a request that is refused": (fault(status=400), Cause.REFUSED),
    "a conversation that is too long": (
        fault(status=400, message="prompt is too long: 250000 tokens > 200000 maximum"),
        Cause.CONTEXT,
    ),
    "an empty account": (
        fault(status=400, message="Your credit balance is too low to access the Anthropic API."),
        Cause.QUOTA,
    ),
    "too many requests": (fault(status=429), Cause.RATE),
    "an overloaded model": (fault(status=529), Cause.RATE),
    "a service that fails": (fault(status=500), Cause.NETWORK),
    "a connection that breaks": ({"fault": "reset"}, Cause.NETWORK),
    "an answer without content": ({"fault": "empty"}, Cause.EMPTY),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_with_the_model_is_named(place: Lab, name: str) -> None:
    step, cause = TROUBLE[name]
    outcome = place.work(step)
    assert (outcome.cause, outcome.ending) == (cause, "failed"), outcome.reason
    assert outcome.reason
    assert outcome.calls == ()


@pytest.mark.parametrize("kind", ["cut", "garbage"])
def test_a_broken_answer_of_the_model_never_counts_as_done(place: Lab, kind: str) -> None:
    outcome = place.work({"fault": kind, "text": "half an answer"}, bench=place.bench(stage=Stage(timeout_s=60.0)))
    assert outcome.ending != "done"


def test_a_service_that_asks_to_come_back_much_later_ends_the_run_at_once(place: Lab) -> None:
    begun = time.monotonic()
    outcome = place.work(fault(status=429, retry_after=600))
    assert outcome.cause is Cause.RATE
    assert outcome.again_at is None  # the client does not say when
    assert time.monotonic() - begun < 30


def test_a_dead_address_is_the_network(place: Lab) -> None:
    place.server = place.serve({"steps": [{"text": "never asked"}]})
    driver = place.driver().aimed_at("http://127.0.0.1:9")
    outcome = driver.work(Assignment(ticket=ticket(), attempt=1, brief="Mend calc.", bench=place.bench()))
    assert outcome.cause is Cause.NETWORK


def test_answers_are_counted(place: Lab) -> None:
    place.settings["max_turns"] = 2
    outcome = place.work(shell("echo again"))
    assert outcome.cause is Cause.TURNS


def test_the_clients_own_bound_on_money_is_set(place: Lab) -> None:
    place.settings["max_usd"] = 0.02
    outcome = place.work(shell("echo again"))
    assert outcome.cause is Cause.BUDGET
    assert outcome.used.usd
    assert outcome.used.usd >= 0.02
    assert outcome.used.input >= 4000  # its `usage` leaves out the answer that went over the bound


def test_a_used_up_budget_stops_it_and_keeps_work_and_counts(place: Lab) -> None:
    written = str(place.tree / "src/new.py")
    bench = place.bench(purse=Purse(tokens=1500))
    outcome = place.work(call("Write", file_path=written, content="x = 1\n"), shell(LONG_COMMAND), bench=bench)
    assert (outcome.cause, outcome.ending) == (Cause.BUDGET, "failed")
    assert outcome.reason.endswith("tokens were used; 1500 were allowed")
    assert Path(written).read_text() == "x = 1\n"
    assert outcome.used.input >= 2000
    assert outcome.used.usd


def test_another_model_than_the_one_asked_for_is_noticed(place: Lab) -> None:
    place.settings["model"] = "claude-sonnet-4-5"
    place.server = place.serve({"steps": [shell("touch late"), REPORTS], "model": "claude-haiku-4-5"})
    outcome = place.driver().work(Assignment(ticket=ticket(), attempt=1, brief="Mend calc.", bench=place.bench()))
    assert outcome.cause is Cause.MODEL
    assert "claude-haiku-4-5" in outcome.reason
    assert not (place.tree / "late").exists()


def test_a_family_of_models_may_answer_under_its_full_name(place: Lab) -> None:
    place.settings["model"] = "sonnet"
    assert place.work(REPORTS).cause is Cause.DONE


def test_silence_ends_the_run(place: Lab) -> None:
    place.settings["silence_s"] = 4.0
    outcome = place.work({"fault": "hang", "seconds": 40})
    assert outcome.cause is Cause.SILENT


def test_a_time_out_ends_the_client_and_its_commands(place: Lab) -> None:
    outcome = place.work(shell(LONG_COMMAND), bench=place.bench(stage=Stage(timeout_s=4.0)))
    assert (outcome.cause, outcome.ending) == (Cause.TIMEOUT, "timeout")
    assert not inside(place.tree)


@dataclass(frozen=True)
class Running:
    pid: int
    command: list[str]


def inside(tree: Path) -> list[Running]:
    """Give all processes that work in the tree."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            if Path(process.cwd()) == tree:
                found.append(Running(process.pid, process.cmdline()))
    return found


KILLED = {
    "SIGKILL": {Cause.CRASH},
    "SIGTERM": {Cause.CRASH},
    "SIGINT": {Cause.INTERRUPTED, Cause.PROTOCOL},  # exit code 0, and now and then without its result
}


@pytest.mark.parametrize("number", KILLED)
def test_a_client_that_is_killed_leaves_nothing_behind_and_is_no_success(place: Lab, number: str) -> None:
    def kill() -> None:
        """Kill the client once its command runs."""
        for _ in range(200):
            running = inside(place.tree)
            clients = [one.pid for one in running if one.command[:1] == [str(place.claude)]]
            if clients and any(one.command[:1] == ["tail"] for one in running):
                os.kill(clients[0], signal.Signals[number])
                return
            time.sleep(0.1)

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = place.work(shell(LONG_COMMAND))
    killer.join()
    assert outcome.cause in KILLED[number], outcome.reason
    assert not inside(place.tree)


# sessions


def test_a_session_is_taken_up_again_and_counts_anew(place: Lab) -> None:
    first = place.work(shell("echo first"), REPORTS, shell("echo second"), REPORTS)
    assert first.cause is Cause.DONE
    assert first.used.usd
    assert place.server is not None
    task = Assignment(
        ticket=ticket(),
        attempt=2,
        brief="The whole brief.",
        feedback="FEEDBACK only",
        session=first.session,
        before=first.counted,
        bench=place.bench(),
    )
    second = place.driver().work(task)
    assert second.cause is Cause.DONE, second.reason
    assert second.session == first.session
    assert first.counted == first.used
    assert second.counted.input == first.counted.input + second.used.input
    assert second.used.usd
    assert second.counted.usd == pytest.approx(first.used.usd + second.used.usd)
    told = [row["told"] for row in place.server.requests()]
    assert any("FEEDBACK only" in text for text in told)
    assert not any("The whole brief." in text for text in told)


def test_a_session_that_was_broken_off_is_taken_up_again(place: Lab) -> None:
    bench = place.bench(purse=Purse(tokens=500))
    first = place.work(shell(LONG_COMMAND), REPORTS, bench=bench)
    assert first.cause is Cause.BUDGET
    task = Assignment(
        ticket=ticket(), attempt=2, brief="Whole.", feedback="go on", session=first.session, before=first.counted,
        bench=place.bench(),
    )  # fmt: skip
    second = place.driver().work(task)
    assert second.cause is Cause.DONE, second.reason


def test_a_session_that_the_client_does_not_know_begins_anew_with_the_whole_brief(place: Lab) -> None:
    outcome = place.work(
        REPORTS, session="efd6be85-c308-4144-a5f1-1dc5dc6e0b70", feedback="FEEDBACK", before=replace(NOTHING, input=5)
    )
    assert outcome.cause is Cause.DONE
    assert outcome.session != "efd6be85-c308-4144-a5f1-1dc5dc6e0b70"
    assert place.server is not None
    assert "Mend calc." in place.server.requests()[-1]["told"] or any(
        "Mend calc." in row["told"] for row in place.server.requests()
    )
    assert outcome.used.input == 1000


# before the start


def test_the_probe_names_the_version_and_the_binary_behind_npms_stub(claude: Path) -> None:
    stub = claude.parents[2] / ".bin" / "claude"
    if not stub.exists():
        pytest.skip(f"{stub} is not there: this npm puts no stub on the PATH")
    for command in (str(claude), str(stub)):
        driver = ClaudeDriver(name="coder", settings=Agent(kind="claude", command=(command,)), root=Path("/"))
        probe = driver.probe()
        assert probe.ready, probe.detail
        assert probe.detail == f"{claude.resolve()} {probe.version}"


def test_a_lead_without_a_key_is_a_fault_of_the_settings(place: Lab) -> None:
    place.server = place.serve({"steps": [fault(status=401)]})
    facts: Any = None
    with pytest.raises(InputError, match=r"agents\.coder: Claude Code says: "):
        place.driver().plan(PlanningTask(request="mend", brief="Plan it.", facts=facts, bench=place.bench()))
