"""Landing by pull request: the candidate's commit is the request's branch, the service merges it, and what came out is looked at.

The branch holds one commit on the very head that was judged, so every way of merging gives the judged tree: as long as the target
has not moved. The service takes no lease on the target. So the head is asked for right before, and the result is compared afterwards;
a rule at the service that branches must be up to date closes what is left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gates.reports import render_markdown
from orchestrator.hosting import Host, HostError, Text
from orchestrator.train.outcomes import Behind, Later, Sent, Stuck
from worktrees.remote import Overtaken, Refused, Unreachable

if TYPE_CHECKING:
    from orchestrator.hosting import Request
    from orchestrator.train.landing import Step
    from orchestrator.train.outcomes import Published
    from orchestrator.workspace import Workspace
    from worktrees.remote import Line


class PullRequests:
    def __init__(self, workspace: Workspace, line: Line) -> None:
        self._workspace, self._line = workspace, line
        self._host = Host.of(workspace, line)
        self._target, self._remote = workspace.policy.project.target, workspace.policy.landing.remote

    def publish(self, step: Step) -> Published:
        """Have the step merged by the service; the commit that it made takes the place of ours."""
        branch = branch_of(step)
        offered = self._offer(branch, step)
        if not isinstance(offered, str):
            return offered
        try:
            request = self._host.open(branch, self._target, _text(step))
            self._check(request, step, offered)
            if self._head() != step.old:
                return Behind()
            self._host.merge(request, self._workspace.policy.landing.method, offered, self._message(step))
        except HostError as error:
            # whether it was merged all the same is for the target to say
            return Later(reason=str(error)) if self._head() == step.old else Behind()
        return self._merged(request, step, branch, offered)

    def _offer(self, branch: str, step: Step) -> str | Published:
        """Push the candidate to the request's branch; the same content keeps its commit, and with it what people said of it."""
        ref, kept = f"refs/heads/{branch}", f"refs/orchestrate/remotes/{self._remote}/{branch}"
        found = self._line.heads(ref)
        if isinstance(found, Unreachable):
            return Later(reason=f"{self._remote} cannot be reached: {found.reason}")
        there = found.get(ref, "")
        if there and not isinstance(self._line.fetch(f"+{ref}:{kept}"), Unreachable) and self._same(there, step):
            return there
        said = self._line.push([f"{step.new}:{ref}"], leases={ref: there})
        if isinstance(said, Refused):
            return Stuck(reason=f"{self._remote} refused the branch {branch}: {said.reason}", everybody=False)
        if isinstance(said, Unreachable):
            return Later(reason=f"{self._remote} cannot be reached: {said.reason}")
        return (
            Later(reason=f"{branch} was moved on {self._remote} meanwhile") if isinstance(said, Overtaken) else step.new
        )

    def _same(self, there: str, step: Step) -> bool:
        repository = self._workspace.repository
        parents = repository.git("rev-list", "--no-walk", "--parents", there).text.split()[1:]
        return parents == [step.old] and repository.tree(there) == repository.tree(step.new)

    def _check(self, request: Request, step: Step, commit: str) -> None:
        """Show that the gates passed. A service that does not let us is told of in the log, and does not hold the landing up."""
        for row in step.rows:
            data = {"remote": self._remote, "request": request.number, "url": request.url, "new": commit}
            self._workspace.records.note("landing.pushed", row.about, data)
        try:
            self._host.approve(commit, f"the gates passed on tree {step.passed.prediction.tree[:12]}")
        except HostError as error:
            data = {"reason": f"the check could not be put on {request.url}: {error}"}
            self._workspace.records.note("ticket.trouble", step.rows[-1].about, data)

    def _message(self, step: Step) -> Text:
        """Give the message of our own commit: its trailers belong on the one that lands."""
        form = ("log", "-1", "--format=%B", step.new)
        title, _, body = self._workspace.repository.git(*form).text.partition("\n")
        return Text(title=title, body=body.strip())

    def _head(self) -> str:
        """Ask where the target is there; empty where nobody answers, so that it is nothing that was expected."""
        ref = f"refs/heads/{self._target}"
        found = self._line.heads(ref)
        return "" if isinstance(found, Unreachable) else found.get(ref, "")

    def _merged(self, request: Request, step: Step, branch: str, offered: str) -> Published:
        """Compare what stands on the target now with what was judged."""
        repository, ref = self._workspace.repository, f"refs/heads/{self._target}"
        kept = f"refs/orchestrate/remotes/{self._remote}/{self._target}"
        if isinstance(self._line.fetch(f"+{ref}:{kept}"), Unreachable):
            return Behind()  # the next look at the remote finds it
        line = repository.git("rev-list", "--first-parent", "--reverse", f"{step.old}..{kept}").text.split()
        if not line:
            return Later(reason=f"{request.url} is to be merged, and is not yet")
        if repository.tree(line[0]) != step.passed.prediction.tree:
            said = f"{request.url} was merged onto a {self._target} that had moved: what stands there was not judged; look at it"
            return Stuck(reason=said, everybody=False)
        self._line.push([f":refs/heads/{branch}"], leases={f"refs/heads/{branch}": offered})
        return Sent(steps=(replace(step, new=line[0]),))


def branch_of(step: Step) -> str:
    """Name the request's branch after its ticket; of a batch, after the first and how many more there are."""
    first, *more = step.rows
    return f"tickets/{first.record.slug}" + (f"-and-{len(more)}-more" if more else "")


def _text(step: Step) -> Text:
    """Write the request: its title, and the reports of all that it lands."""
    title = ", ".join(row.record.title for row in step.rows)
    if len(step.rows) == 1:
        title = f"{step.rows[0].id}: {title}"
    body = "\n\n".join(render_markdown(step.passed.reports[row.id]) for row in step.rows)
    return Text(title=title[:200], body=body)
