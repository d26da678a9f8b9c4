"""The steps of an attempt that cost money, each of which may be done again after a crash."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from experiment_hub.cost import desk
from experiment_hub.errors import ConflictError, NotAllowedError, WaitsForPersonError
from experiment_hub.scheduler import reading
from experiment_hub.scheduler.admission import OUTCOMES, request_of
from experiment_hub.scheduler.attempts import Refusal
from experiment_hub.scheduler.claims import Claim
from experiment_hub.worker.launchers.protocol import Status


@dataclass(frozen=True)
class Purse:
    engine: Engine
    home: Path

    def reserve(self, claim: Claim) -> Refusal | None:
        """None when the money is held, otherwise why it may not start."""
        request = self._request(claim.id)
        try:
            wait = desk.hold_back(self.engine, request)
            if not wait:
                desk.reserve(self.engine, desk.terms(self.home), request, attempt=claim.attempt)
        except ConflictError as error:
            return Refusal(id=claim.id, token=claim.token, reason=str(error))
        except (WaitsForPersonError, NotAllowedError) as error:
            wait = str(error)
        return Refusal(id=claim.id, token=claim.token, reason=wait, waits=True) if wait else None

    def settle(self, claim: Claim, status: Status) -> None:
        """Before the end of the attempt is recorded: a crash in between settles it again, which books nothing."""
        try:
            desk.settle(self.engine, claim.id, attempt=claim.attempt, billed_seconds=status.billed_seconds, last=False)
        except ConflictError:
            return  # nothing was ever reserved, so there is nothing to book

    def never_started(self, claim: Claim, why: str) -> None:
        desk.release(self.engine, claim.id, attempt=claim.attempt, why=why)

    def close(self, claim: Claim, state: str) -> None:
        """After the last attempt: let go of what is still held, and of the fan-out that waited for this job."""
        outcome = OUTCOMES.get(state)
        if outcome is not None:
            desk.release(self.engine, claim.id, attempt=claim.attempt, why=f"the job is {state}")
            desk.note_end(self.engine, self._request(claim.id), outcome)

    def healthy(self, claim: Claim, file: Path) -> bool:
        return desk.note_health(self.engine, self._request(claim.id), file)

    def why_stop(self, claim: Claim, status: Status) -> str:
        """Of a job that runs away; empty unless a person allowed for it."""
        if status.billed_seconds is None:
            return ""
        limits = desk.terms(self.home).settings
        return desk.runaway(self.engine, limits, claim.id, billed_seconds=status.billed_seconds)

    def _request(self, job: str) -> desk.Request:
        return request_of(reading.find(self.engine, job))
