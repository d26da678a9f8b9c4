"""Every error of the harness, and the exit code each one ends in.

SignalboxError            1   something was refused or failed
├── InputError            2   the command line, the configuration or a file is wrong; nothing was started
│   └── FileError         2   ... with file, line, key and what was expected
├── WaitingError          3   a person has to decide something first
├── InconclusiveError     4   it could not be judged
├── EnvironmentFailure    4   the machine cannot do what is needed (disk full, git too old, state of a newer version)
├── CancelledError      130   stopped because its answer is not needed any more; says nothing about what was judged
└── Interrupted         130   stopped by a person; can be resumed
"""

from __future__ import annotations

from dataclasses import dataclass


class SignalboxError(Exception):
    exit_code = 1


class InputError(SignalboxError):
    exit_code = 2


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong in one place of a file."""

    file: str
    line: int
    key: str
    expected: str

    def __str__(self) -> str:
        key = f" {self.key}:" if self.key else ""
        return f"{self.file}:{self.line}:{key} {self.expected}"


class FileError(InputError):
    """A file that cannot be used, with every problem found in it."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class WaitingError(SignalboxError):
    exit_code = 3


class InconclusiveError(SignalboxError):
    exit_code = 4


class EnvironmentFailure(SignalboxError):  # noqa: N818 - names what failed, as in the tree above
    exit_code = 4


class CancelledError(SignalboxError):
    exit_code = 130


class Interrupted(SignalboxError):  # noqa: N818 - not an error of anybody
    exit_code = 130
