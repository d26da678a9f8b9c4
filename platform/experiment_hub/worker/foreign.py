"""Calls into launchers: whatever foreign code raises there becomes one error that names it."""

from types import TracebackType

from experiment_hub.errors import HubError


class LauncherError(HubError):
    """A launcher could not do what it was asked to; it may be able to later."""


class Calling:
    def __init__(self, launcher: str, what: str) -> None:
        self._label = f"launcher {launcher} could not {what}"

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, HubError):
            raise LauncherError(f"{self._label}: {type(error).__name__}: {error}") from error
