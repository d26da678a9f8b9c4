"""Every read and write of the metadata database, each in one short transaction."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, update

from experiment_hub.errors import UnknownRunError
from experiment_hub.metadata.database import open_engine
from experiment_hub.metadata.sessions import reading, upsert, writing
from experiment_hub.metadata.tables import MetricValue, Run


class MetadataStore:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.engine = open_engine(home)

    def update_run(self, run_id: str, **values: Any) -> None:
        with writing(self.engine) as session:
            session.execute(update(Run).where(Run.id == run_id).values(**values))

    def change_state(self, run_id: str, *, before: Sequence[str], **values: Any) -> bool:
        """Set values only if the state still is one of `before`; tells whether it was."""
        statement = update(Run).where(Run.id == run_id, Run.state.in_(before)).values(**values).returning(Run.id)
        with writing(self.engine) as session:
            return session.execute(statement).first() is not None

    def run(self, run_id: str) -> Run:
        with reading(self.engine) as session:
            found = session.get(Run, run_id)
        if found is None:
            raise UnknownRunError(f"no run {run_id!r} in {self.home}")
        return found

    def runs(self, *, state: str | None = None) -> list[Run]:
        """Oldest first."""
        query = select(Run).order_by(Run.created_at, Run.id)
        if state:
            query = query.where(Run.state == state)
        with reading(self.engine) as session:
            return list(session.scalars(query))

    def record_metrics(self, values: Sequence[dict[str, Any]]) -> None:
        """Rows of `metric_values`; a figure that is recorded again after a resume replaces itself."""
        if values:
            with writing(self.engine) as session:
                upsert(session, MetricValue, values)

    def forget_metrics(self, run_id: str, *, from_epoch: int) -> None:
        """What an attempt recorded after its last checkpoint is measured again."""
        with writing(self.engine) as session:
            session.execute(delete(MetricValue).where(MetricValue.run_id == run_id, MetricValue.epoch >= from_epoch))

    def metrics(self, run_id: str) -> list[MetricValue]:
        query = select(MetricValue).where(MetricValue.run_id == run_id)
        ordered = query.order_by(MetricValue.epoch, MetricValue.split, MetricValue.metric)
        with reading(self.engine) as session:
            return list(session.scalars(ordered))

    def last_metrics(self, run_ids: Sequence[str]) -> dict[str, dict[str, float]]:
        """`{run: {"split.metric": value}}` of the last epoch that each run recorded."""
        last = select(MetricValue.run_id, func.max(MetricValue.epoch).label("epoch")).group_by(MetricValue.run_id)
        latest = last.where(MetricValue.run_id.in_(run_ids)).subquery()
        query = select(MetricValue).join(
            latest, (MetricValue.run_id == latest.c.run_id) & (MetricValue.epoch == latest.c.epoch)
        )
        found: dict[str, dict[str, float]] = {run_id: {} for run_id in run_ids}
        with reading(self.engine) as session:
            for row in session.scalars(query.order_by(MetricValue.split, MetricValue.metric)):
                found[row.run_id][f"{row.split}.{row.metric}"] = row.value
        return found
