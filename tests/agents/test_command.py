from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agents.drivers.command import CommandDriver
from agents.protocol import Assignment, Bench, Facts, Outcome, PlanningTask, Question
from agents.reports import LONGEST
from tickets.errors import InputError, SignalboxError
from tickets.model import Ticket
from workbench import Desk, workbench

TICKET = Ticket.model_validate(
    {
        "id": "T-0001",
        "title": "t",
        "objective": "o",
        "non_goals": ("n",),
        "scope": {"new": ("a",)},
        "acceptance": ({"run": ("true",)},),
    }
)


@dataclass(frozen=True)
class Stage:
    """Runs Python code as an agent of kind `command`."""

    bench: Bench

    def work(self, code: str, *, brief: str = "# Brief\n", timeout_s: float = 60, attempt: int = 1) -> Outcome:
        driver = CommandDriver(
            name="coder", command=(sys.executable, "-c", f"import os, sys\n{code}"), root=self.bench.tree
        )
        bench = replace(self.bench, bounds=replace(self.bench.bounds, timeout_s=timeout_s))
        return driver.work(Assignment(ticket=TICKET, attempt=attempt, brief=brief, bench=bench))

    def plan(self, code: str, request: str = "add it") -> str:
        driver = CommandDriver(
            name="lead", command=(sys.executable, "-c", f"import os, sys\n{code}"), root=self.bench.tree
        )
        facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
        return driver.plan(PlanningTask(request=request, brief="# Plan\n", facts=facts, bench=self.bench))

    def answer(self, code: str, phase: int = 1) -> str:
        driver = CommandDriver(
            name="reader", command=(sys.executable, "-c", f"import os, sys\n{code}"), root=self.bench.tree
        )
        question = Question(ticket=TICKET, attempt=2, phase=phase, brief="# Audit\n", bench=self.bench)
        return driver.answer(question)

    def written(self, name: str) -> str:
        return (self.bench.tree / name).read_text(encoding="utf-8", errors="surrogateescape")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(workbench(tmp_path, Desk()))


def test_the_agent_gets_what_the_contract_names_and_nothing_more(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    outcome = stage.work(
        "import json; json.dump(dict(os.environ), open('env.json', 'w')); open('cwd', 'w').write(os.getcwd())",
        attempt=3,
    )
    assert outcome.ending == "done"
    seen = json.loads(stage.written("env.json"))
    home, desk = str(stage.bench.home), stage.bench.desk
    assert stage.written("cwd") == str(stage.bench.tree)
    assert (seen["HOME"], seen["TMPDIR"], seen["ORCHESTRATE_ATTEMPT"]) == (home, f"{home}/tmp", "3")
    assert seen["ORCHESTRATE_REPORT"] == str(desk / "report.md")
    assert Path(seen["ORCHESTRATE_BRIEF"]).read_text(encoding="utf-8") == "# Brief\n"
    assert Ticket.model_validate_json(Path(seen["ORCHESTRATE_TICKET"]).read_text(encoding="utf-8")) == TICKET
    own = {
        "PATH",
        "LANG",
        "HOME",
        "TMPDIR",
        "ORCHESTRATE_TICKET",
        "ORCHESTRATE_BRIEF",
        "ORCHESTRATE_REPORT",
        "ORCHESTRATE_ATTEMPT",
    }
    assert set(seen) - own <= {"LC_CTYPE", "PWD", "SHLVL", "_"}


@pytest.mark.parametrize("brief", ["# Brief\nä 🚀\n", "", "x" * 500_000])
def test_the_brief_is_on_standard_input(brief: str, stage: Stage) -> None:
    assert stage.work("open('in', 'wb').write(sys.stdin.buffer.read())", brief=brief).ending == "done"
    assert stage.written("in") == brief


def test_a_brief_nobody_reads_is_no_trouble(stage: Stage) -> None:
    assert stage.work("pass", brief="x" * 5_000_000).ending == "done"


def test_a_brief_that_names_a_file_of_odd_bytes_is_handed_over(stage: Stage) -> None:
    assert stage.work("open('in', 'wb').write(sys.stdin.buffer.read())", brief="outside: caf\udce9.py").ending == "done"
    assert stage.written("in") == "outside: caf\\udce9.py"


REPORT = "path = os.environ['ORCHESTRATE_REPORT']\nprint('from standard output')\n"


@pytest.mark.parametrize(
    ("code", "report"),
    [
        ("open(path, 'w').write('from the file')", "from the file"),
        ("pass", "from standard output"),
        ("open(path, 'w').close()", "from standard output"),
        ("open(path, 'w').write('  \\n')", "from standard output"),
        ("os.mkdir(path)", "from standard output"),
        ("os.mkfifo(path)", "from standard output"),
        ("os.symlink('/etc/passwd', path)", "from standard output"),
        ("os.symlink('/nowhere', path)", "from standard output"),
        ("open(path, 'wb').write(b'caf\\xe9')", "caf\ufffd"),
        ("open(path, 'wb').write('\\ufeffx'.encode())", "\ufeffx"),
    ],
)
def test_the_report_is_the_file_or_else_what_was_printed(code: str, report: str, stage: Stage) -> None:
    outcome = stage.work(REPORT + code)
    assert (outcome.ending, outcome.report) == ("done", report)


@pytest.mark.parametrize("where", ["open(os.environ['ORCHESTRATE_REPORT'], 'w')", "sys.stdout"])
def test_a_report_of_5_mb_is_read_in_part(where: str, stage: Stage) -> None:
    outcome = stage.work(f"{where}.write('x' * 5_000_000)")
    assert outcome.ending == "done"
    assert outcome.report is not None
    assert LONGEST // 2 < len(outcome.report) <= LONGEST


def test_an_agent_that_says_nothing_has_no_report(stage: Stage) -> None:
    assert stage.work("pass").report is None


@pytest.mark.parametrize(
    ("code", "ending", "reason"),
    [
        ("pass", "done", ""),
        ("sys.exit(0)", "done", ""),
        ("sys.exit(1)", "failed", "exit code 1"),
        ("sys.exit(77)", "failed", "exit code 77"),
        ("os.kill(os.getpid(), 9)", "failed", "-9"),
        ("os.abort()", "failed", "-6"),
    ],
)
def test_only_exit_0_is_done(code: str, ending: str, reason: str, stage: Stage) -> None:
    outcome = stage.work(f"print('said', flush=True)\n{code}")
    assert (outcome.ending, outcome.report) == (ending, "said")
    assert reason in outcome.reason
    assert Path(outcome.transcript).read_text(encoding="utf-8").startswith("said\n")


def test_an_agent_that_takes_too_long_is_ended(stage: Stage) -> None:
    outcome = stage.work("open('begun', 'w').close()\nimport time\ntime.sleep(600)", timeout_s=1.5)
    assert outcome.ending == "timeout"
    assert outcome.reason
    assert outcome.seconds < 20
    assert stage.written("begun") == ""


def test_what_an_agent_leaves_running_is_ended_and_counted(stage: Stage) -> None:
    outcome = stage.work("import subprocess\nsubprocess.Popen(['sleep', '600'], start_new_session=True)")
    assert (outcome.ending, outcome.survivors) == ("done", 1)


@pytest.mark.parametrize("program", ["no-such-program-here", "/no/such/program", "bin/none"])
def test_a_program_that_is_not_there_was_not_started(program: str, stage: Stage) -> None:
    driver = CommandDriver(name="coder", command=(program, "--x"), root=stage.bench.tree)
    outcome = driver.work(Assignment(ticket=TICKET, attempt=1, brief="", bench=stage.bench))
    assert (outcome.ending, outcome.report) == ("not-started", None)
    assert program in outcome.reason
    assert driver.probe().ready is False
    assert program in driver.probe().detail


def test_a_program_of_the_repository_is_found_from_its_root(stage: Stage, tmp_path: Path) -> None:
    program = tmp_path / "repository" / "tools" / "agent"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$0 $*"\npwd\n')
    program.chmod(0o755)
    driver = CommandDriver(name="coder", command=("tools/agent", "--x"), root=tmp_path / "repository")
    assert driver.probe().ready
    outcome = driver.work(Assignment(ticket=TICKET, attempt=1, brief="", bench=stage.bench))
    assert outcome.report == f"{program} --x\n{stage.bench.tree}"


def test_an_outcome_survives_json(stage: Stage) -> None:
    outcome = stage.work("sys.exit(3)")
    assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


# as a lead


@pytest.mark.parametrize(
    "code", ["print('request: x')", "open(os.environ['ORCHESTRATE_REPORT'], 'w').write('request: x')\nprint('chatter')"]
)
def test_a_lead_answers_with_a_file_or_on_standard_output(code: str, stage: Stage) -> None:
    assert stage.plan(code) == "request: x"


def test_a_lead_is_given_the_request(stage: Stage) -> None:
    assert (
        stage.plan("print(os.environ['ORCHESTRATE_REQUEST'])\nprint(sys.stdin.read())", "add ü\nnow")
        == "add ü\nnow\n# Plan"
    )


def test_a_lead_that_says_nothing_gives_an_empty_plan(stage: Stage) -> None:
    assert stage.plan("pass") == ""


def test_a_lead_that_fails_is_told_with_its_log(stage: Stage) -> None:
    with pytest.raises(SignalboxError, match=r"the lead lead gave no plan: .*exit code 5.*agent\.log") as caught:
        stage.plan("print('request: x')\nsys.exit(5)")
    assert caught.value.exit_code == 1


def test_a_lead_that_cannot_be_started_is_an_error_of_the_configuration(stage: Stage) -> None:
    driver = CommandDriver(name="lead", command=("no-such-program-here",), root=stage.bench.tree)
    facts = Facts(project="p", target="main", paths=(), read=lambda _: None)
    with pytest.raises(InputError, match=r"agents\.lead: .*no-such-program-here"):
        driver.plan(PlanningTask(request="x", brief="", facts=facts, bench=stage.bench))


def test_a_question_is_answered_in_the_report_or_in_print(stage: Stage) -> None:
    report = "open(os.environ['ORCHESTRATE_REPORT'], 'w')"
    said = stage.answer(
        f"import json; about = json.load(open(os.environ['ORCHESTRATE_TICKET']))['id']\n"
        f"print('thinking'); {report}.write(' '.join((sys.stdin.read().strip(), about, os.environ['ORCHESTRATE_PHASE'])))",
        phase=2,
    )
    assert said == "# Audit T-0001 2"
    (stage.bench.desk / "answer").unlink()
    assert stage.answer("print('printed')") == "printed"


def test_a_question_without_an_answer_is_an_error(stage: Stage) -> None:
    with pytest.raises(SignalboxError, match="reader gave no answer: the agent ended with exit code 3"):
        stage.answer("sys.exit(3)")
