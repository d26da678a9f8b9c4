"""What the ACP library calls when an agent asks for permission: each question goes to the live gate, and no answer but a yes lets it go on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.clients.acp.questions import UnclearError, questions

if TYPE_CHECKING:
    from acp.schema import PermissionOption, RequestPermissionResponse

    from agents.clients.acp.hearing import Call, Hearing
    from agents.clients.acp.questions import Where
    from agents.protocol import Gate


@dataclass(kw_only=True)
class Permissions:
    """What the library calls when the agent asks."""

    gate: Gate
    hearing: Hearing
    where: Where

    async def request_permission(
        self,
        session_id: str,  # noqa: ARG002 - named by the library; there is one session
        tool_call: Any,
        options: list[PermissionOption],
        **_: Any,
    ) -> RequestPermissionResponse:
        call = self.hearing.asked(tool_call.model_dump(mode="json", by_alias=True, exclude_none=True))
        refusal = await asyncio.to_thread(self._refusal, call)
        if not refusal and not any(option.kind == "allow_once" for option in options):
            refusal = "the agent offers no way to allow this once"
        self.hearing.judged(call, refusal)
        return _answer(options, ("reject_once", "reject_always") if refusal else ("allow_once",))

    def _refusal(self, call: Call) -> str:
        if self.hearing.stop:
            return self.hearing.stop.reason
        try:
            asked = questions(call.said, where=self.where)
        except UnclearError as error:
            return str(error)
        for question in asked:
            permit = self.gate(question)
            if permit.allowed is not True:
                return permit.reason or "it is refused"
        return ""


def _answer(options: list[PermissionOption], kinds: tuple[str, ...]) -> RequestPermissionResponse:
    from acp.schema import AllowedOutcome, DeniedOutcome, RequestPermissionResponse

    for kind in kinds:
        for option in options:
            if option.kind == kind:
                chosen = AllowedOutcome(outcome="selected", option_id=option.option_id)
                return RequestPermissionResponse(outcome=chosen)
    return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))
