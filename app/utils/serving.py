"""The worker class that serves: it refuses in the API's own words, and leaves without cutting anybody off.

That no thread waits for a client is in `waiting_worker`.
"""

from __future__ import annotations

import errno
import logging
import re
import time
from contextlib import suppress
from typing import Any

from gunicorn.http import errors
from gunicorn.workers.gthread import TConn

from app.utils import draining, metrics
from app.utils.client_socket import TooSlow
from app.utils.problems import problem
from app.utils.waiting_worker import LOOKS_EVERY, Overloaded, WaitingWorker

STATUSES: dict[type[Exception], tuple[int, str]] = {
    TooSlow: (408, "Request Timeout"),
    Overloaded: (503, "Service Unavailable"),
    errors.LimitRequestLine: (414, "URI Too Long"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    errors.ExpectationFailed: (417, "Expectation Failed"),
    errors.UnsupportedTransferCoding: (501, "Not Implemented"),
}
log = logging.getLogger(__name__)


class PatientWorker(WaitingWorker):
    # Who watches over the service must not take a rush for a breakdown, and restart it.
    always_answered = re.compile(rb"GET /api/v1/health/")
    _accepts_from = 0.0

    def accept(self, listener: Any) -> None:
        """Newcomers for whom there is no file wait for somebody to go; without this they would end the process."""
        try:
            super().accept(listener)
        except OSError as error:
            if error.errno not in {errno.EMFILE, errno.ENFILE}:
                raise
            self._accepts_from = time.monotonic() + LOOKS_EVERY
            self.set_accept_enabled(False)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        if draining.has_started():
            # Every answer then says that it is the connection's last. Those that said otherwise just before keep
            # their time: a client that was told it may ask again must not find the door shut.
            req.force_close()
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        ours = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
        if not isinstance(exc, errors.ParseException) or isinstance(exc, ours):
            super().handle_error(req, client, addr, exc)
            return
        status, title = STATUSES.get(type(exc), (400, "Bad Request"))
        code = "overloaded" if isinstance(exc, Overloaded) else title.lower().replace(" ", "_")
        metrics.REFUSALS.labels(code).inc()
        log.log(logging.DEBUG if isinstance(exc, Overloaded) else logging.WARNING, "refused unread: %s", exc)
        ours_to_tell = isinstance(exc, TooSlow | Overloaded)
        detail = str(exc) if ours_to_tell else "The request is not HTTP as it should be."
        body = problem(status, code, title, detail)
        head = f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        head += "Retry-After: 1\r\n" if isinstance(exc, Overloaded) else ""
        with suppress(OSError):
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def is_parent_alive(self) -> bool:
        """An orphan lets go of the port at once, so that whoever starts the service again can have it.

        Gunicorn's own orphan would wait for kept-alive clients that it never tells to go, half a minute long.
        """
        alive = bool(super().is_parent_alive())
        if not alive:
            self.alive = False
            self.set_accept_enabled(False)
        return alive

    def set_accept_enabled(self, enabled: bool) -> None:
        if not enabled or time.monotonic() >= self._accepts_from:
            super().set_accept_enabled(enabled)
        if not self.alive:
            self._refuse_newcomers()

    def _refuse_newcomers(self) -> None:
        """Take in whoever is connected already, and let go of the port, so that others are refused at once.

        The kernel would otherwise let them in, to wait for the last answer of this process and then be cut off.
        Nothing is done between the last look and the closing, since whoever comes in between is cut off.
        """
        listeners: list[Any] = self.sockets
        self.sockets: list[Any] = []
        for listener in listeners:
            name, newcomers = listener.getsockname(), []
            with suppress(OSError):  # "would block": that was all
                while True:
                    newcomers.append(listener.accept())
            listener.close()
            for client, address in newcomers:
                self.nr_conns += 1
                self.enqueue_req(TConn(self.cfg, client, address, name))
