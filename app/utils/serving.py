"""Gunicorn's threaded worker, made to give up on clients that stop and to refuse in the API's own words.

A thread that waits for a body waits without end by default, so as many silent clients as there are threads
would be an outage.
"""

from __future__ import annotations

import logging
import socket
import struct
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from app.utils.problems import problem

SILENCE_SECONDS = 5
LINGER_SECONDS = 0.5
STATUSES: dict[type[Exception], tuple[int, str]] = {
    errors.LimitRequestLine: (414, "URI Too Long"),
    errors.LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    errors.ExpectationFailed: (417, "Expectation Failed"),
    errors.UnsupportedTransferCoding: (501, "Not Implemented"),
}
log = logging.getLogger(__name__)


class BoundedThreadWorker(ThreadWorker):
    def handle(self, conn: Any) -> Any:
        # Kept by the kernel, so it survives the worker's own switching between blocking and not.
        bound = struct.pack("ll", SILENCE_SECONDS, 0)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bound)
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bound)
        keep = super().handle(conn)
        if keep is False:
            # Here and briefly: the worker's one accepting thread would do it otherwise, two seconds for each
            # client that does not close its side, while nobody else gets in.
            util.close_graceful(conn.sock, timeout=LINGER_SECONDS)
            conn.close = _is_closed
        return keep

    def is_parent_alive(self) -> bool:
        """An orphan lets go of the port at once, so that whoever starts the service again can have it.

        Gunicorn's own orphan would wait for kept-alive clients that it never tells to go, half a minute long.
        """
        alive = bool(super().is_parent_alive())
        if not alive:
            self.alive = False
            self.set_accept_enabled(False)
            for listener in self.sockets:
                listener.close()
        return alive

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        ours = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
        if not isinstance(exc, errors.ParseException) or isinstance(exc, ours):
            super().handle_error(req, client, addr, exc)
            return
        status, title = STATUSES.get(type(exc), (400, "Bad Request"))
        log.warning("refused before it was a request: %s", exc)
        body = problem(status, title.lower().replace(" ", "_"), title, "The request is not HTTP as it should be.")
        head = f"HTTP/1.1 {status} {title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        util.write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def _is_closed(graceful: bool = False) -> None:
    """What the accepting thread calls on a connection that its own thread has closed."""
