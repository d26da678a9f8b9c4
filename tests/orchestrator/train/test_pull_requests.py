"""Landing by pull request, with a program that speaks gh's command line and merges in a real bare repository."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from memory.trains import Trains
from orchestrator.hosting import Host, Text, place_of
from orchestrator.train import publishing
from orchestrator.train.publishing import check
from orchestrator.workspace import Workspace
from tickets.errors import InputError
from tickets.states import State
from train_yard import QUIET, Yard

if TYPE_CHECKING:
    from demo_project import Demo

GH = Path(__file__).parent.parent.parent / "support" / "fake_gh.py"
LANDING = """[train]
slots = 1
batch = {batch}
[landing]
remote = "origin"
method = "{method}"
pull_request = "auto"
protected = ["main"]
gh = {gh}
"""


class Service:
    """The hosting service, its repository, and a yard that lands there."""

    def __init__(self, demo: Demo, monkeypatch: pytest.MonkeyPatch, *, method: str = "merge", batch: int = 1) -> None:
        self.demo, self.folder = demo, demo.home / "service"
        self.hub = self.folder / "hub.git"
        self.folder.mkdir()
        # gh hands nothing on from the environment that it does not know: the program finds its repository beside itself
        copy = self.folder / "gh.py"
        copy.write_text(GH.read_text(encoding="utf-8"), encoding="utf-8")
        gh = json.dumps([sys.executable, str(copy)])
        monkeypatch.setenv("HOME", str(demo.home))
        monkeypatch.setattr(publishing, "PAUSES_S", (0.1,))
        self.yard = Yard.of(demo, QUIET + LANDING.format(method=method, batch=batch, gh=gh))
        demo.git("init", "-q", "--bare", "-b", "main", str(self.hub))
        demo.git("remote", "add", "origin", str(self.hub))
        demo.git("push", "-q", "origin", "main")
        hook = self.hub / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\n! grep -q refs/heads/main$\n", encoding="utf-8")  # nobody pushes to it
        hook.chmod(0o755)
        self.before = self.head

    @property
    def head(self) -> str:
        return self.demo.git("--git-dir", str(self.hub), "rev-parse", "main")

    @property
    def requests(self) -> list[dict[str, Any]]:
        return list(json.loads((self.folder / "requests.json").read_text(encoding="utf-8")))

    @property
    def statuses(self) -> list[dict[str, Any]]:
        text = (self.folder / "statuses.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def trouble(self, **words: str) -> None:
        said = {name.replace("_", " "): text for name, text in words.items()}
        (self.folder / "trouble.json").write_text(json.dumps(said), encoding="utf-8")

    def moved_by_others(self, **files: str) -> str:
        theirs = self.yard.commit(self.before, files)
        self.demo.git("push", "-q", "origin", f"{theirs}:refs/heads/theirs")
        self.demo.git("--git-dir", str(self.hub), "update-ref", "refs/heads/main", theirs)
        return theirs

    def branches(self) -> list[str]:
        return self.demo.git(
            "--git-dir", str(self.hub), "for-each-ref", "--format=%(refname:short)", "refs/heads"
        ).split()


@pytest.fixture
def service(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Service:
    return Service(demo, monkeypatch)


@pytest.mark.parametrize(("method", "parents"), [("merge", 2), ("squash", 1), ("rebase", 1)])
def test_what_the_service_merges_is_what_was_judged(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, method: str, parents: int
) -> None:
    service = Service(demo, monkeypatch, method=method)
    (ticket,) = service.yard.queue({"a.txt": "x\n"})
    assert service.yard.run(ticket) == {ticket: "landed"}
    landed = service.yard.workspace.records.ticket(ticket).landed
    assert landed == service.head == service.yard.workspace.head()
    assert len(demo.git("rev-list", "--no-walk", "--parents", landed).split()) - 1 == parents
    assert service.yard.landed(service.before) == [[ticket]]
    service.yard.assert_never_red(service.before)
    assert demo.git("notes", "--ref=orchestrate", "show", landed)
    (request,) = service.requests
    assert request["state"] == "MERGED"
    assert request["title"] == f"{ticket}: change 0"
    assert "| gate | verdict | reason |" in request["body"]
    (status,) = service.statuses
    assert (status["state"], status["context"]) == ("success", "signalbox")
    assert service.branches() == ["main"], "the request's branch is gone"


def test_one_after_the_other_each_by_its_own_request(service: Service) -> None:
    tickets = service.yard.queue({"a.txt": "x\n"}, {"b.txt": "x\n"})
    assert set(service.yard.run(*tickets).values()) == {"landed"}
    assert [request["state"] for request in service.requests] == ["MERGED", "MERGED"]
    assert sorted(name for step in service.yard.landed(service.before) for name in step) == tickets
    service.yard.assert_never_red(service.before)
    assert service.head == service.yard.workspace.head()


def test_a_batch_is_one_request_with_all_its_reports(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(demo, monkeypatch, batch=4)
    tickets = service.yard.queue(*({f"f{n}.txt": "x\n"} for n in range(3)))
    for ticket in tickets:  # all of them are there when the train begins
        head = service.yard.workspace.records.ticket(ticket).head or ""
        Trains(service.yard.workspace.database).join(ticket, "main", attempt=1, head=head)
    assert set(service.yard.run(*tickets).values()) == {"landed"}
    requests = service.requests
    assert len(requests) < 3
    assert all(any(ticket in request["body"] for request in requests) for ticket in tickets)
    service.yard.assert_never_red(service.before)


def test_a_target_that_others_moved_is_followed_and_everything_judged_anew(service: Service) -> None:
    theirs = service.moved_by_others(**{"theirs.txt": "x\n"})
    (ticket,) = service.yard.queue({"a.txt": "x\n"}, base=service.before)
    assert service.yard.run(ticket) == {ticket: "landed"}
    assert service.demo.first_parents()[1] == theirs
    service.yard.assert_never_red(theirs)


def test_a_request_that_needs_a_persons_review_waits_and_lands_as_the_same_commit(service: Service) -> None:
    service.trouble(pr_merge="Pull request is not mergeable: the base branch policy prohibits the merge.")
    (ticket,) = service.yard.queue({"a.txt": "x\n"})
    assert service.yard.run(ticket) == {ticket: "ended"}
    row = service.yard.workspace.records.ticket(ticket)
    assert row.state is State.BLOCKED
    assert "base branch policy prohibits" in row.reason
    assert service.head == service.before
    (offered,) = {status["commit"] for status in service.statuses}
    service.trouble()
    for state in (State.READY, State.VERIFYING, State.QUEUED):
        service.yard.workspace.records.move(ticket, state)
    assert service.yard.run(ticket) == {ticket: "landed"}
    (request,) = service.requests
    assert request["state"] == "MERGED"
    assert {status["commit"] for status in service.statuses} == {offered}, "what was reviewed is what was merged"


def test_a_request_that_a_person_merged_meanwhile_has_landed(service: Service) -> None:
    service.trouble(pr_merge="review required")
    (ticket,) = service.yard.queue({"a.txt": "x\n"})
    service.yard.run(ticket)
    offered = service.statuses[0]["commit"]
    ask = ("--git-dir", str(service.hub))
    merged = service.demo.git(
        *ask, "commit-tree", f"{offered}^{{tree}}", "-p", service.before, "-m", "squashed by hand"
    )
    service.demo.git(*ask, "update-ref", "refs/heads/main", merged)
    for state in (State.READY, State.VERIFYING, State.QUEUED):
        service.yard.workspace.records.move(ticket, state)
    assert service.yard.run(ticket) == {ticket: "landed"}
    assert service.yard.workspace.records.ticket(ticket).landed == merged == service.head


def test_a_check_that_the_service_does_not_take_holds_nothing_up(service: Service) -> None:
    service.trouble(api="HTTP 403: Resource not accessible by personal access token")
    (ticket,) = service.yard.queue({"a.txt": "x\n"})
    assert service.yard.run(ticket) == {ticket: "landed"}
    assert "HTTP 403" in service.yard.events("ticket.trouble")[0]["reason"]


def test_nobody_signed_in_is_found_before_anything_starts(service: Service) -> None:
    check(service.yard.workspace)
    service.trouble(auth_status="You are not logged into any GitHub hosts.")
    with pytest.raises(InputError, match=r"not logged into any GitHub hosts\.; sign in first"):
        check(service.yard.workspace)


@pytest.mark.e2e
def test_a_missing_client_is_found_by_every_command_that_lands(service: Service) -> None:
    demo, policy = service.demo, service.demo.root / "orchestrate.toml"
    text = policy.read_text(encoding="utf-8").replace(json.dumps(sys.executable), '"no-such-gh"')
    policy.write_text(text, encoding="utf-8")
    said = "no-such-gh was not found, and landings go by pull requests here"
    with pytest.raises(InputError, match=said):
        check(Workspace.open(demo.root))
    assert said in demo.orchestrate("doctor", exits=4).stdout


def test_a_merge_onto_a_target_that_moved_at_that_moment_is_not_called_landed(service: Service) -> None:
    theirs = service.yard.commit(service.before, {"theirs.txt": "x\n"})
    service.demo.git("push", "-q", "origin", f"{theirs}:refs/heads/theirs")
    (service.folder / "others").write_text(theirs, encoding="utf-8")
    (ticket,) = service.yard.queue({"a.txt": "x\n"})
    assert service.yard.run(ticket) == {ticket: "ended"}
    row = service.yard.workspace.records.ticket(ticket)
    assert row.state is State.BLOCKED
    assert "what stands there was not judged; look at it" in row.reason
    assert service.yard.workspace.records.ticket(ticket).landed is None


@pytest.mark.e2e
@pytest.mark.long
def test_a_harness_that_dies_when_its_request_was_merged_finds_it_landed(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = (demo.root / "orchestrate.toml").read_text(encoding="utf-8")
    service = Service(demo, monkeypatch, method="squash")
    landing = service.yard.workspace.root / "orchestrate.toml"
    text = landing.read_text(encoding="utf-8").partition("[train]")
    demo.commit("work here", **{"orchestrate.toml": kept + text[1] + text[2]})
    demo.git("--git-dir", str(service.hub), "fetch", "-q", str(demo.root), "main:main")
    before = service.head
    (service.folder / "die-after-merge").touch()
    assert demo.orchestrate("feature", "add a and b", "--json").returncode == -signal.SIGKILL
    merged = demo.git("--git-dir", str(service.hub), "rev-list", f"{before}..main").split()
    assert len(merged) == 1
    assert demo.git("rev-parse", "main") == before
    done = json.loads(demo.orchestrate("resume", "F-0001", "--json", exits=0).stdout)
    assert done["outcome"] == "landed"
    assert demo.git("rev-parse", "main") == service.head
    assert len(demo.git("rev-list", f"{before}..main").split()) == 2
    assert merged[0] in demo.first_parents()


def test_a_long_report_is_cut_and_the_repository_is_named_where_the_address_says_it(
    service: Service,
) -> None:
    gh = service.yard.workspace.policy.landing.gh
    host = Host(command=gh, folder=service.demo.root, place="github.com/ada/engine")
    host.check()
    for text in ("ü" * 90_000, "line\n" * 20_000):
        request = host.open("tickets/x", "main", Text(title="long", body=text))
        (stored,) = service.requests
        assert (request.number, stored["title"]) == (1, "long")
        assert len(stored["body"].encode()) <= 65_536
        assert stored["body"].endswith("(The report is longer than fits here.)")
    calls = (service.folder / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["repository"] for line in calls} == {"github.com/ada/engine"}
    assert json.loads(calls[0])["words"] == ["auth", "status", "--hostname", "github.com"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("git@github.com:ada/engine.git", "github.com/ada/engine"),
        ("https://github.com/ada/engine.git", "github.com/ada/engine"),
        ("https://token@github.example.org/ada/engine", "github.example.org/ada/engine"),
        ("ssh://git@github.com:22/ada/engine.git", "github.com/ada/engine"),
        ("ssh://git@github.com/ada/engine", "github.com/ada/engine"),
        ("/srv/git/engine.git", ""),
        ("../engine", ""),
        ("file:///srv/git/engine.git", ""),
    ],
)
def test_the_place_of_a_repository_is_read_from_its_address(address: str, place: str) -> None:
    assert place_of(address) == place
