"""Points in time as the hub keeps them: UTC, ISO 8601 with milliseconds, text that sorts."""

import time


def now() -> str:
    return at(time.time())


def at(seconds: float) -> str:
    """Of seconds since the epoch; without datetime, whose import costs every start of a run a millisecond."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:03d}+00:00"


def later(moment: str, *, hours: float) -> str:
    """The point that many hours after `moment`; before it where they are negative."""
    from datetime import datetime, timedelta

    return (datetime.fromisoformat(moment) + timedelta(hours=hours)).isoformat(timespec="milliseconds")
