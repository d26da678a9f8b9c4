"""What drivers have in common: those that ask a model, and those that ask none."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.endings import words_of
from agents.protocol import Capabilities

if TYPE_CHECKING:
    from agents.protocol import Bench, Outcome, PlanningTask, Question
    from tickets.agents import Agent


@dataclass(frozen=True, kw_only=True)
class ModelDriver(ABC):
    """Has plans and answers told by the model."""

    name: str
    settings: Agent
    runs_foreign_code: bool = True
    repeats_itself: bool = False

    def plan(self, task: PlanningTask) -> str:
        outcome = self._words(task.bench, task.brief)
        return words_of(outcome, agent=self.name, trouble=f"the lead {self.name} gave no plan")

    def answer(self, question: Question) -> str:
        outcome = self._words(question.bench, question.brief)
        return words_of(outcome, agent=self.name, trouble=f"the agent {self.name} gave no answer")

    @abstractmethod
    def _words(self, bench: Bench, brief: str) -> Outcome:
        """Have a brief answered in words: they are the report."""


@dataclass(frozen=True, kw_only=True)
class OtherDriver:
    """Has no model that could be scripted, or none that we know of."""

    name: str
    repeats_itself: bool = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    def aimed_at(self, url: str) -> None:
        """Give None."""

    def trial(self, path: str) -> tuple[dict[str, Any], ...]:  # noqa: ARG002 - as above
        return ()
