"""What Prometheus scrapes: /metrics, at the root."""

from collections.abc import Iterator

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.services import audit, audit_rounds, health
from app.utils import metrics
from app.utils.cache import CacheSilent


class SweepLag(Collector):
    """Asked of the database at scrape time, so it speaks for the whole service and needs no worker alive."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        lag = GaugeMetricFamily("inventory_sweep_lag_seconds", "Age of the oldest overdue reservation")
        try:
            lag.add_metric([], health.lag_seconds())
        except SQLAlchemyError:
            db.session.rollback()
        yield lag


class AuditStanding(Collector):
    """What the scheduled audit found, which is nothing but when something is wrong; absent before its first pass."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            known = audit_rounds.standing()
        except CacheSilent:
            return
        if known is None or known.last is None:
            return
        found = GaugeMetricFamily(
            "inventory_audit_findings", "What the audit found by the rule that is broken", labels=["rule"]
        )
        for rule in audit.RULES:
            found.add_metric([rule], known.rules.get(rule, 0))
        yield found
        yield GaugeMetricFamily("inventory_audit_items", "Items the last whole audit checked", known.last.items)
        finished = known.last.finished_at.timestamp()
        yield GaugeMetricFamily("inventory_audit_finished_timestamp_seconds", "When it ended", finished)


def init_app(app: Flask) -> None:
    app.add_url_rule("/metrics", "metrics", scrape)


def scrape() -> Response:
    return Response(metrics.exposition(SweepLag(), AuditStanding()), content_type=CONTENT_TYPE_LATEST)
