"""Waiting for an ACP agent, and never for ever."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from agents.causes import Cause
from agents.clients.acp.trouble import cause_of
from agents.endings import End, EndedError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agents.clients.acp.hearing import Hearing
    from agents.clients.acp.wire import Wire

HANDSHAKE_S = 120.0
"""For each step before the prompt: some clients build an index first."""
FAREWELL_S = 10.0
"""For the end of a turn that was cancelled."""
TICK_S = 0.1
SETTLED_S = 0.5
"""Nothing was said for so long."""
SETTLING_S = 30.0
Given = TypeVar("Given")


class TurnError(EndedError):
    """The turn is over."""

    def __init__(self, cause: Cause, reason: str, *, gone: bool = False) -> None:
        super().__init__(cause, reason)
        self.gone = gone


def failure(error: Exception) -> TurnError:
    data = getattr(error, "data", None)
    said = f"{error} ({str(data)[:300]})" if data else str(error)
    return TurnError(cause_of(error), f"the agent gave an error: {said[:500]}")


def _stopped(end: End) -> TurnError:
    return TurnError(end.cause, end.reason)


@dataclass(frozen=True, kw_only=True)
class Bounded:
    """Waits for answers, and never for ever."""

    wire: Wire
    hearing: Hearing
    silence_s: float

    async def step(self, asked: Coroutine[Any, Any, Given], *, refused: tuple[type[Exception], ...] = ()) -> Given:
        """Wait for a step before the prompt; errors in `refused` are for the caller."""
        task = asyncio.ensure_future(asked)
        done, _ = await asyncio.wait({task}, timeout=min(HANDSHAKE_S, self.silence_s))
        if not done:
            await _dropped(task)
            raise TurnError(Cause.SILENT, "the agent did not answer before its work began")
        return self._result(task, refused)

    async def turn(self, asked: Coroutine[Any, Any, Given], cancel: Callable[[], Coroutine[Any, Any, None]]) -> Given:
        """Wait for the end of the agent's turn, and cancel it where it must not go on."""
        task = asyncio.ensure_future(asked)
        while not (await asyncio.wait({task}, timeout=TICK_S))[0]:
            if self.wire.silent_s > self.silence_s:
                self.hearing.stop = End(
                    cause=Cause.SILENT, reason=f"the agent said nothing for {self.silence_s:g} seconds"
                )
            if self.hearing.stop:
                with contextlib.suppress(TimeoutError):  # a client that reads nothing is not told
                    await asyncio.wait_for(cancel(), FAREWELL_S)
                done, _ = await asyncio.wait({task}, timeout=FAREWELL_S)
                if not done:
                    await _dropped(task)
                    raise _stopped(self.hearing.stop)
                break
        try:
            return self._result(task, ())
        except TurnError as end:
            raise (_stopped(self.hearing.stop) if self.hearing.stop else end) from None

    async def settle(self) -> None:
        """Wait for the end of what is said unasked: Gemini CLI says again what was said before when a session is loaded already."""
        left = round(SETTLING_S / TICK_S)
        while left and self.wire.silent_s < SETTLED_S:
            await asyncio.sleep(TICK_S)
            left -= 1

    def _result(self, task: asyncio.Future[Given], refused: tuple[type[Exception], ...]) -> Given:
        from acp import RequestError
        from pydantic import ValidationError

        try:
            return task.result()
        except ConnectionError:
            gone = self.wire.trouble or "the agent ended before it had answered"
            raise TurnError(
                Cause.PROTOCOL if self.wire.trouble else Cause.CRASH, gone, gone=not self.wire.trouble
            ) from None
        except refused:
            raise
        except RequestError as error:
            raise failure(error) from error
        except ValidationError as error:
            what = f"the agent's answer is none of the protocol: {error.error_count()} of its values are wrong"
            raise TurnError(Cause.PROTOCOL, what) from error


async def _dropped(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
