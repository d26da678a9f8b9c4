"""The server of API and pages, and who may use it."""

import logging
import socket
from dataclasses import dataclass
from pathlib import Path

from experiment_hub.api import tokens
from experiment_hub.api.access import Access, is_loopback, own_names
from experiment_hub.errors import BadInputError, NotAllowedError
from experiment_hub.metadata.store import MetadataStore
from experiment_hub.output import emit, progress, table
from experiment_hub.tracking.home import find_home

GRACE_SECONDS = 3
CONNECTIONS = 500  # at once; more are told to come back
BACKLOG = 128
LONGEST_HEAD = 512 * 1024  # a query may name many curves


@dataclass(frozen=True)
class Place:
    host: str
    port: int
    """0: any free one."""
    open_to_all: bool
    """Without tokens; on loopback only."""
    names: tuple[str, ...] = ()
    """By which browsers may ask for this server, beside its own."""


def serve(place: Place, home: Path | None, *, as_json: bool) -> None:
    """Until a signal; the first line on stdout says where the page is."""
    import uvicorn

    from experiment_hub.ui.application import create_site

    chosen = find_home(home)
    access = reachable(place, chosen)
    site = create_site(chosen, access)
    with _bound(place) as listening:
        url = f"http://{_in_url(place.host)}:{listening.getsockname()[1]}/"
        link = f"{url}open?key={access.key}" if access.mode == "key" else url
        emit({"url": url, "open": link, "home": str(chosen)}, [link], as_json=as_json)
        progress(f"serving {chosen}; {_said(access)}; Ctrl-C ends it")
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
        config = uvicorn.Config(
            site,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            ws="none",
            http="h11",
            h11_max_incomplete_event_size=LONGEST_HEAD,
        )
        uvicorn.Server(config).run(sockets=[listening])


def new_token(name: str, role: str, days: int | None, home: Path | None, *, as_json: bool) -> None:
    store = MetadataStore(find_home(home))
    made = tokens.create(store.engine, name, role, days=days)
    document = {"id": made.record.id, "name": name, "role": role, "expires_at": made.record.expires_at}
    progress(f"token {made.record.id} for {name!r}, role {role}; it is shown this once")
    emit({**document, "secret": made.secret}, [made.secret], as_json=as_json)


def list_tokens(home: Path | None, *, as_json: bool) -> None:
    header = ("id", "name", "role", "created_at", "expires_at", "revoked_at")
    found = tokens.every(MetadataStore(find_home(home)).engine)
    rows = [{key: getattr(token, key) for key in header} for token in found]
    emit({"tokens": rows}, table(header, ([row[key] for key in header] for row in rows)), as_json=as_json)


def revoke_token(token_id: str, home: Path | None, *, as_json: bool) -> None:
    revoked = tokens.revoke(MetadataStore(find_home(home)).engine, token_id)
    document = {"id": revoked.id, "name": revoked.name, "revoked_at": revoked.revoked_at}
    emit(
        document, [f"token {revoked.id} ({revoked.name}) is worth nothing since {revoked.revoked_at}"], as_json=as_json
    )


def reachable(place: Place, home: Path) -> Access:
    """How people get in; raises NotAllowedError rather than letting strangers in."""
    names = own_names(place.host, list(place.names))
    if is_loopback(place.host):
        return Access("none" if place.open_to_all else "key", names)
    if place.open_to_all:
        raise NotAllowedError(f"--no-auth is for loopback only: anybody could reach {place.host}")
    if not tokens.active(MetadataStore(home).engine):
        raise NotAllowedError(
            f"others can reach {place.host}, and there is no token yet: make one with `hub tokens new NAME --role admin`"
        )
    return Access("token", names)


def _bound(place: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((place.host, place.port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise BadInputError(f"cannot listen on {place.host} port {place.port}: {error.strerror}") from error
    return listening


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _said(access: Access) -> str:
    if access.mode == "none":
        return "everybody on this machine may do everything (--no-auth)"
    return "the link lets its holder in" if access.mode == "key" else "everybody needs a token"
