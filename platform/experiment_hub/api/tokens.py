"""Tokens: shown once, stored as SHA-256, each with a role."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import Engine, select, update

from experiment_hub.errors import BadInputError, UnknownNameError
from experiment_hub.metadata.sessions import reading, writing
from experiment_hub.metadata.tables import Token
from experiment_hub.times import later, now

ROLES = ("viewer", "editor", "operator", "admin")
"""Each may do what the ones before it may: look; tag and note; jobs, models and money; tokens."""
PREFIX = "hub_"
LONGEST_DAYS = 3650
LONGEST_NAME = 200


@dataclass(frozen=True)
class Caller:
    """Who a request comes from."""

    name: str
    role: str
    token_id: str
    """Also of a browser's session; what a request did is remembered under it."""

    def may(self, role: str) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class NewToken:
    record: Token
    secret: str


def hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def create(engine: Engine, name: str, role: str, *, days: int | None) -> NewToken:
    """`days` None: it never expires."""
    if role not in ROLES:
        raise UnknownNameError("role", role, list(ROLES))
    if not 0 < len(name) <= LONGEST_NAME:
        raise BadInputError(f"a token's name has 1 to {LONGEST_NAME} characters, got {len(name)}")
    if days is not None and not 0 < days <= LONGEST_DAYS:
        raise BadInputError(f"a token lasts from 1 to {LONGEST_DAYS} days, not {days}")
    secret = f"{PREFIX}{secrets.token_urlsafe(32)}"
    record = Token(
        id=f"t-{secrets.token_hex(4)}",
        name=name,
        role=role,
        secret_hash=hashed(secret),
        created_at=now(),
        expires_at=None if days is None else later(now(), hours=24 * days),
        revoked_at=None,
    )
    with writing(engine) as session:
        session.add(record)
    return NewToken(record, secret)


def every(engine: Engine) -> list[Token]:
    """Oldest first, expired and revoked ones as well."""
    with reading(engine) as session:
        return list(session.scalars(select(Token).order_by(Token.created_at, Token.id)))


def active(engine: Engine) -> list[Token]:
    return [token for token in every(engine) if _is_active(token)]


def revoke(engine: Engine, token_id: str) -> Token:
    """From the next request on; revoking twice changes nothing."""
    with writing(engine) as session:
        session.execute(update(Token).where(Token.id == token_id, Token.revoked_at.is_(None)).values(revoked_at=now()))
        found = session.get(Token, token_id)
        if found is None:
            raise UnknownNameError("token", token_id, [])
        return found


def authenticate(engine: Engine, secret: str) -> Caller | None:
    """None for a token that is unknown, expired or revoked."""
    digest = hashed(secret)
    with reading(engine) as session:
        found = session.scalars(select(Token).where(Token.secret_hash == digest)).first()
    if found is None or not hmac.compare_digest(found.secret_hash, digest) or not _is_active(found):
        return None
    return Caller(found.name, found.role, found.id)


def still_good(engine: Engine, token_id: str) -> Caller | None:
    """For a browser that signed in with a token: what the token is worth now."""
    with reading(engine) as session:
        found = session.get(Token, token_id)
    return Caller(found.name, found.role, found.id) if found is not None and _is_active(found) else None


def _is_active(token: Token) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now())
