"""Commands about money; the work is done by the cost room."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from experiment_hub.commands import reconciliation as cost_reconciliation
from experiment_hub.cost import decisions, desk, estimates, history, money, reports, stops, variants
from experiment_hub.cost import ledger as books
from experiment_hub.cost.approvals import Word
from experiment_hub.cost.person import person
from experiment_hub.errors import BadInputError, NotAllowedError, WaitsForPersonError
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.sessions import reading
from experiment_hub.metadata.tables import Estimate
from experiment_hub.output import emit, table
from experiment_hub.scheduler import admission
from experiment_hub.tracking.home import find_home


@dataclass(frozen=True)
class Said:
    """What a person typed."""

    hash: str | None
    fan_out: str | None
    reason: str | None
    actor: str | None


def rates(home: Path | None, *, as_json: bool) -> None:
    found = find_home(home)
    card, engine = desk.terms(found).card, open_engine(found)
    with reading(engine) as session:
        today = books.clock(session).date()
    rows = [
        {**rate.model_dump(mode="json"), "objection": card.objection(rate, today=today)}
        for rate in sorted(card.rates.values(), key=lambda rate: (rate.launcher, rate.item))
    ]
    header = ("launcher", "item", "price", "currency", "as_of", "source", "usable")
    shown = ({**row, "usable": "no" if row["objection"] else "yes"} for row in rows)
    emit({"rates": rows}, table(header, ([row[key] for key in header] for row in shown)), as_json=as_json)


def estimate(asked: dict[str, Any], home: Path | None, *, as_json: bool) -> None:
    found = find_home(home)
    now, engine = desk.terms(found), open_engine(found)
    request = desk.Request(job_id="", project=now.settings.project, work="", **asked)
    with reading(engine) as session:
        quoted = estimates.quote(request, now.card, today=books.clock(session).date())
        expected = history.expected(session, quoted)
        room = books.balance(session, now.settings, request.project).head_room
    tier = estimates.tier(now.settings.cost, quoted.worst_usd)
    document = {
        "worst_usd": quoted.worst_usd,
        "expected_usd": expected,
        "tier": tier,
        "head_room_usd": room,
        "formula": estimates.formula(quoted.rate, request.bound()),
        "rate": quoted.rate,
    }
    emit(document, _estimate_lines(document), as_json=as_json)


def waiting(home: Path | None, *, as_json: bool) -> None:
    rows = decisions.waiting(open_engine(find_home(home)))
    lines = [line for row in rows for line in _waiting_lines(row)] or ["no job waits for a person's word on its price"]
    emit({"waiting": [dataclasses.asdict(row) for row in rows]}, lines, as_json=as_json)
    if rows:
        raise SystemExit(WaitsForPersonError.exit_code)


def approve(said: Said, home: Path | None, *, as_json: bool) -> None:
    found = find_home(home)
    actor, now, engine = person(said.actor), desk.terms(found), open_engine(found)
    word = Word("approved", actor, said.reason, now.settings.cost.approval_hours)
    done = [decisions.approve(engine, now, hash_, word) for hash_ in _meant(engine, said)]
    _answer(done, word, admission.reconsider(engine, found), as_json=as_json)


def deny(said: Said, home: Path | None, *, as_json: bool) -> None:
    found = find_home(home)
    actor, now, engine = person(said.actor), desk.terms(found), open_engine(found)
    word = Word("denied", actor, said.reason, now.settings.cost.approval_hours)
    done = [decisions.deny(engine, hash_, word) for hash_ in _meant(engine, said)]
    _answer(done, word, admission.reconsider(engine, found), as_json=as_json)


def allow_stop(job_id: str, said: Said, home: Path | None, *, as_json: bool) -> None:
    found = find_home(home)
    actor, now = person(said.actor), desk.terms(found)
    word = Word("approved", actor, said.reason, now.settings.cost.approval_hours)
    card = stops.allow_stop(open_engine(found), found, job_id, word)
    lines = [*card.lines(), f"may be stopped now, says {actor}"]
    emit({**card.document(), "actor": actor}, lines, as_json=as_json)


def next_variant(fan_out: str, said: Said, home: Path | None, *, as_json: bool) -> None:
    if not (said.reason or "").strip():
        raise NotAllowedError(f"fan-out {fan_out}: letting another variant go ahead needs --reason")
    found = find_home(home)
    actor, engine = person(said.actor), open_engine(found)
    variants.let_another(engine, fan_out, actor=actor, reason=str(said.reason))
    queued = admission.reconsider(engine, found)
    document = {"fan_out": fan_out, "actor": actor, "queued": queued}
    emit(document, [f"fan-out {fan_out}: the next variant may go ahead", *_queued(queued)], as_json=as_json)


def ledger(home: Path | None, *, job: str | None, day: str | None, as_json: bool) -> None:
    found = find_home(home)
    engine = open_engine(found)
    rows, stand = reports.rows(engine, job_id=job, day=day), reports.balance(engine, desk.terms(found).settings)
    header = ("day", "job_id", "attempt", "kind", "usd", "seconds", "launcher", "gpu")
    lines = [*table(header, ([row[key] for key in header] for row in rows)), *_balance_lines(stand)]
    document = {"entries": rows, "balance": {**dataclasses.asdict(stand), "head_room": stand.head_room}}
    emit(document, lines, as_json=as_json)


def report(home: Path | None, *, as_json: bool) -> None:
    accounts = reports.accounts(open_engine(find_home(home)))
    rows = [{**dataclasses.asdict(account), "share": account.share} for account in accounts]
    header = ("launcher", "gpu", "jobs", "reserved_usd", "paid_usd", "share", "overruns", "unknown_bills")
    emit({"accounts": rows}, table(header, ([row[key] for key in header] for row in rows)), as_json=as_json)


def reconcile(home: Path | None, *, as_json: bool) -> None:
    found = cost_reconciliation.reconcile(open_engine(find_home(home)))
    lines = [f"{each.job_id}, attempt {each.attempt}: {each.what}" for each in found] or ["all accounts are in order"]
    emit({"findings": [dataclasses.asdict(each) for each in found]}, lines, as_json=as_json)
    if any(each.open for each in found):
        raise SystemExit(1)


def _meant(engine: Engine, said: Said) -> list[str]:
    """The estimates that a person means: one by its hash, or all that wait in a fan-out."""
    if (said.hash is None) == (said.fan_out is None):
        raise BadInputError("say which: HASH, or --fan-out NAME")
    if said.hash is not None:
        return [said.hash]
    found = decisions.waiting_in(engine, str(said.fan_out))
    if not found:
        raise BadInputError(f"nothing waits for a person's word in fan-out {said.fan_out}")
    return found


def _answer(done: list[Estimate], word: Word, queued: list[str], *, as_json: bool) -> None:
    cards = [decisions.card(estimate) for estimate in done]
    lines = [f"{word.answer} by {word.actor}: {each['hash'][:12]} {each['formula']}" for each in cards]
    document = {"answer": word.answer, "actor": word.actor, "estimates": cards, "queued": queued}
    emit(document, [*lines, *_queued(queued)], as_json=as_json)


def _queued(jobs: list[str]) -> list[str]:
    return [f"queued: {', '.join(jobs)}"] if jobs else []


def _estimate_lines(document: dict[str, Any]) -> list[str]:
    sources = {f"{line['item']}: {line['source']} ({line['as_of']})" for line in document["rate"]["lines"]}
    return [
        f"at worst {money.shown(document['worst_usd'])} = {document['formula']}",
        f"expected {money.shown(document['expected_usd'])}, by how such jobs turned out",
        f"tier {document['tier']}; room under the caps {money.shown(document['head_room_usd'])}",
        *(f"price of {line}" for line in sorted(sources)),
    ]


def _waiting_lines(row: decisions.Waiting) -> list[str]:
    return [
        f"{row.estimate_hash[:12]}  job {row.job_id} ({row.name}), waiting since {row.since}",
        f"    at worst {money.shown(row.worst_usd)} = {row.formula}; expected {money.shown(row.expected_usd)}",
        f"    {row.reason or ''}",
    ]


def _balance_lines(stand: books.Balance) -> list[str]:
    cap = "none" if stand.project_cap is None else money.shown(stand.project_cap)
    day_cap, reserved = money.shown(stand.day_cap), money.shown(stand.reserved)
    return [
        f"{stand.day}: spent {money.shown(stand.spent_today)}, reserved {reserved}, day cap {day_cap}",
        f"project: spent {money.shown(stand.spent_project)}, cap {cap}; room {money.shown(stand.head_room)}",
    ]
