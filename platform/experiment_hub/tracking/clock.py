import time


def now() -> str:
    """UTC, ISO 8601 with milliseconds."""
    return at(time.time())


def at(seconds: float) -> str:
    """The same for seconds since the epoch; without datetime, whose import costs every start a millisecond."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{rest:03d}+00:00"
