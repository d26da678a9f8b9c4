"""Pages from templates: everything is escaped, and what would confuse a reader is made visible."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from experiment_hub import output
from experiment_hub.cost import money

if TYPE_CHECKING:
    from experiment_hub.api.tokens import Caller

HERE = Path(__file__).parent
STATIC = HERE / "static"
THEME_COOKIE = "hub_theme"
THEMES = ("light", "dark")
SHOWN_CHARACTERS = 200
NOTHING = "\u2013"
MINUTE, HOUR, DAY = 60, 3600, 86400


def visible(value: Any) -> str:
    """Control characters as their pictures, so that a name cannot hide or fake anything."""
    text = str(value)
    return "".join(chr(0x2400 + ord(each)) if each < " " else "\u2421" if each == "\x7f" else each for each in text)


def short(value: Any, length: int = SHOWN_CHARACTERS) -> str:
    text = str(value)
    return visible(text if len(text) <= length else f"{text[: length - 1]}…")


def lines(value: Any, length: int = 1_000_000) -> str:
    """Text of several lines: as `short`, but its breaks and tabulators stay."""
    parts = re.split(r"([\n\t])", str(value)[:length])
    return "".join(part if part in {"\n", "\t"} else visible(part) for part in parts)


def number(value: Any) -> str:
    """Figures to read: five significant digits; None is a dash."""
    if value is None:
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return short(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.5g}"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02d} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"


def size(count: float | None) -> str:
    return NOTHING if count is None else output.size(count)


def usd(amount: float | None) -> str:
    return NOTHING if amount is None else money.shown(amount)


def moment(text: str | None) -> str:
    """A time to the minute, UTC."""
    return NOTHING if not text else text[:16].replace("T", " ")


def ago(text: str | None) -> str:
    if not text:
        return NOTHING
    try:
        seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    except ValueError:
        return short(text)
    if seconds < MINUTE:
        return "just now"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min ago"
    return f"{seconds // HOUR:.0f} h ago" if seconds < DAY else f"{seconds // DAY:.0f} d ago"


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    filters = (visible, short, lines, number, duration, size, usd, moment, ago, pretty)
    environment.filters |= {each.__name__: each for each in filters}
    environment.filters["path"] = lambda value: quote(str(value), safe="")
    environment.filters["query"] = lambda pairs: urlencode([pair for pair in pairs if pair[1] not in {None, ""}])
    environment.globals["static_version"] = _version()
    return environment


def _version() -> str:
    """Changes with the files, so that browsers may keep them."""
    return f"{max(path.stat().st_mtime_ns for path in STATIC.iterdir()):x}"


ENVIRONMENT = _environment()


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    caller: Caller | None = getattr(request.state, "caller", None)
    theme = request.cookies.get(THEME_COOKIE)
    common = {
        "caller": caller,
        "theme": theme if theme in THEMES else None,
        "here": request.url.path,
        "newest_event": getattr(request.state, "newest_event", None),
        "mode": request.app.state.hub.access.mode,
    }
    return HTMLResponse(ENVIRONMENT.get_template(template).render(common | values), status_code=status)


def wants_part(request: Request) -> bool:
    """HTMX asks for the part of a page that it replaces."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers
