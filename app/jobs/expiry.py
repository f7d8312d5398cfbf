"""The sweep that gives back what overdue holds occupy, and the round of housekeeping it is the first part of.

Called by the worker and by the embedded thread.

It is housekeeping. Reads already count overdue holds as gone and buyers expire them on demand.
"""

from __future__ import annotations

import logging
import threading
import time

from flask import Flask, current_app

from app.extensions import cache, db, settings
from app.services import audit_rounds, idempotency_keys, reservations
from app.services.health import SWEEP
from app.utils import clock, context, ids, metrics

log = logging.getLogger(__name__)
ACTOR = "expiry"
# A sweep stops for breath after this long and is called again, so that a job is never endless.
LONGEST_SECONDS = 30.0


def housekeep(request_id: str | None = None, *, stop: threading.Event | None = None) -> int:
    """One round: the sweep, then a slice of the audit; how many holds were expired.

    An audit that fails does not undo the sweep: it is told by itself, and the next round goes on where it was.
    """
    expired = sweep(request_id, stop=stop)
    if stop is None or not stop.is_set():
        try:
            audit_rounds.go_on()
        except Exception:
            db.session.rollback()
            log.exception("the audit failed")
    return expired


def sweep(request_id: str | None = None, *, stop: threading.Event | None = None) -> int:
    """Expire everything overdue, batch by batch, and forget old idempotency keys. Safe to run many times at once.

    Once `stop` is set it ends with the batch it is at; the next sweep, whoever runs it, finds the rest.
    """
    started, total, batch = time.monotonic(), 0, settings().expiry_batch_size
    with context.acting_as(ACTOR, request_id or ids.new_id()):
        while time.monotonic() - started < LONGEST_SECONDS:
            expired = reservations.expire_overdue(limit=batch)
            total += expired
            if expired < batch or (stop is not None and stop.is_set()):
                break
        idempotency_keys.purge(clock.now())
        _report(total, time.monotonic() - started)
    return total


def _report(expired: int, seconds: float) -> None:
    metrics.SWEEPS.inc()
    metrics.SWEPT.inc(expired)
    beat = {"at": clock.now().isoformat(), "expired": expired, "seconds": round(seconds, 4)}
    cache().remember_beat(SWEEP, beat)
    if expired:
        log.info("swept", extra={"expired": expired, "seconds": beat["seconds"]})


class BackgroundSweep:
    """The embedded mode's worker: a daemon thread of the serving process. Start it after any fork."""

    def __init__(self, app: Flask) -> None:
        self._app, self._stop = app, threading.Event()
        self._thread = threading.Thread(target=self._run, name="expiry", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with self._app.app_context():
            every = settings().expiry_interval_seconds
        while not self._stop.is_set():
            with self._app.app_context():
                try:
                    housekeep()
                except Exception:  # whatever it was, the next round tries again
                    log.exception("the sweep failed")
            self._stop.wait(every)


def init_app(app: Flask) -> None:
    app.extensions["background_sweep"] = BackgroundSweep(app)


def start_background_sweep() -> None:
    current_app.extensions["background_sweep"].start()
