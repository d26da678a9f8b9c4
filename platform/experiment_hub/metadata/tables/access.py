"""Who may use the API, and which requests were answered already."""

from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from experiment_hub.metadata.tables.base import Base


class Token(Base):
    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    role: Mapped[str]
    """viewer, editor, operator or admin; each may do what the ones before it may."""
    secret_hash: Mapped[str] = mapped_column(unique=True)
    """SHA-256 of the token; the token itself is shown once."""
    created_at: Mapped[str]
    expires_at: Mapped[str | None]
    revoked_at: Mapped[str | None]


class IdempotencyKey(Base):
    """The answer to a request that may be sent twice."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(primary_key=True)
    token_id: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]
    status: Mapped[int | None]
    """None while the first request is at work."""
    body: Mapped[dict[str, Any] | None]
    created_at: Mapped[str]
