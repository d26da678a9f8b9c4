"""Points in time as the database keeps them: text that sorts."""

from datetime import UTC, datetime, timedelta


def now() -> str:
    """UTC, ISO 8601 with milliseconds."""
    return text(datetime.now(UTC))


def text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def before(moment: str, *, hours: float) -> str:
    """The point that many hours earlier."""
    return text(datetime.fromisoformat(moment) - timedelta(hours=hours))


def after(moment: str, *, hours: float) -> str:
    return before(moment, hours=-hours)
