"""What every request can reach."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from experiment_hub.api.access import Access
from experiment_hub.api.problems import RequestProblem
from experiment_hub.api.tokens import Caller
from experiment_hub.api.watcher import Watcher
from experiment_hub.metadata.store import MetadataStore


@dataclass(frozen=True)
class Hub:
    store: MetadataStore
    access: Access
    watcher: Watcher

    @property
    def home(self) -> Path:
        return self.store.home


def hub_of(request: Request) -> Hub:
    found: Hub = request.app.state.hub
    return found


def caller_of(request: Request) -> Caller:
    """Set by the guard; there is no way past it."""
    found: Caller = request.state.caller
    return found


HubDep = Annotated[Hub, Depends(hub_of)]
CallerDep = Annotated[Caller, Depends(caller_of)]


class Needs:
    """A dependency: the caller has at least this role, else 403."""

    def __init__(self, role: str) -> None:
        self.role = role

    def __call__(self, caller: CallerDep) -> Caller:
        if not caller.may(self.role):
            raise RequestProblem(403, f"This needs the role {self.role}; {caller.name!r} has the role {caller.role}.")
        return caller


Editor = Annotated[Caller, Depends(Needs("editor"))]
Operator = Annotated[Caller, Depends(Needs("operator"))]
Admin = Annotated[Caller, Depends(Needs("admin"))]
