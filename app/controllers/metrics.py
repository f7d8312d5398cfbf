"""What Prometheus scrapes: /metrics, at the root."""

from collections.abc import Iterator

from flask import Flask, Response
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from app.extensions import db
from app.services import health
from app.utils import metrics


class SweepLag(Collector):
    """Asked of the database at scrape time, so it speaks for the whole service and needs no worker alive."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        lag = GaugeMetricFamily("inventory_sweep_lag_seconds", "Age of the oldest overdue reservation")
        try:
            lag.add_metric([], health.lag_seconds())
        except SQLAlchemyError:
            db.session.rollback()
        yield lag


def init_app(app: Flask) -> None:
    app.add_url_rule("/metrics", "metrics", scrape)


def scrape() -> Response:
    return Response(metrics.exposition(SweepLag()), content_type=CONTENT_TYPE_LATEST)
