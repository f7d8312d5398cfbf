"""Gunicorn's threaded worker, made so that no thread ever waits for a client.

A thread is given to a request when all of it is there, and taken back when its answer is ready. Whatever is slower
waits in the one loop of the process, which watches thousands of connections as easily as one, and has a deadline.
"""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.utils.client_socket import GULP, ClientSocket, TooSlow
from app.utils.request_threads import RequestThreads

# How long a client that has begun may say nothing, or take nothing of its answer.
SILENCE_SECONDS = 5.0
# How long a client may take to notice that it was answered and that the connection is over.
LINGER_SECONDS = 1.0
LOOKS_EVERY = 0.25


class Overloaded(ParseException):
    """No thread had time for the request before its client had likely given up."""

    def __str__(self) -> str:
        return "more requests are waiting than can be answered in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How many seconds a client has, from the first moment on, for each part of a request.

    `queue` is the service's own: a request no thread had time for until then is refused, because who sent it has
    likely given up, and answering it would keep those who have not waiting as long.
    """

    head: float
    body: float
    answer: float
    queue: float


@dataclass(slots=True)
class Wait:
    """What a connection is given until, and what happens to it then."""

    until: float
    too_late: Callable[[TConn], None]
    heard: float


class WaitingWorker(ThreadWorker):
    # Set by whoever starts the server; Gunicorn makes the workers itself and takes nothing for them.
    patience = Patience(head=10, body=30, answer=30, queue=3)
    # Requests that begin like this are answered however long they have waited.
    always_answered = re.compile(rb"(?!)")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waits: dict[TConn, Wait] = {}
        self._looks_at = 0.0

    def get_thread_pool(self) -> RequestThreads:
        return RequestThreads(self.cfg.threads)

    def enqueue_req(self, conn: TConn) -> None:
        """A request begins, on a new or a kept connection."""
        if not isinstance(conn.sock, ClientSocket):
            conn.sock, conn.data_ready = ClientSocket(conn.sock, silence=SILENCE_SECONDS), True
        elif conn.parser is not None:
            conn.sock.give_back(conn.parser.unreader.take_buffered())
        try:
            if conn.sock.gather():
                self._hand_over(conn)
            else:
                seconds = self.patience.body if conn.sock.has_head else self.patience.head
                self._wait(conn, EVENT_READ, self._gather_more, seconds, self._refuse_late)
        except OSError:
            self._drop(conn)

    def _gather_more(self, conn: TConn, _client: Any) -> None:
        had_head = conn.sock.has_head
        try:
            enough = conn.sock.gather()
        except OSError:
            self._stop_waiting(conn)
            self._drop(conn)
            return
        if enough:
            self._stop_waiting(conn)
            self._hand_over(conn)
            return
        wait = self._waits[conn]
        wait.heard = time.monotonic()
        if conn.sock.has_head and not had_head:
            wait.until = wait.heard + self.patience.body

    def _refuse_late(self, conn: TConn) -> None:
        if conn.sock.arrived:
            self.handle_error(None, conn.sock, conn.client, TooSlow())
            self._leave(conn)
        else:
            self._drop(conn)

    def _hand_over(self, conn: TConn) -> None:
        conn.sock.handed_over_at = time.monotonic()
        super().enqueue_req(conn)

    def _came_too_late(self, conn: TConn) -> bool:
        waited = time.monotonic() - conn.sock.handed_over_at
        return waited > self.patience.queue and not self.always_answered.match(conn.sock.arrived)

    def handle(self, conn: TConn) -> Any:
        if self._came_too_late(conn):
            conn.sock.arrived = bytearray()
            self.handle_error(None, conn.sock, conn.client, Overloaded())
            return False
        conn.sock.read_by = time.monotonic() + self.patience.head
        return super().handle(conn)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        conn.sock.read_by = time.monotonic() + self.patience.body
        conn.sock.when_late = req.force_close
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: TConn, keepalive: Any) -> bool:
        # A body that nobody wanted to read is not worth waiting for.
        conn.sock.read_by = time.monotonic()
        return bool(super()._keepalive_after(conn, keepalive))

    def _cap_keepalive(self, deadline: float) -> None:
        """A worker that stops waits no longer than this for those who have not begun."""
        super()._cap_keepalive(deadline)
        for conn, wait in self._waits.items():
            if not (conn.sock.arrived or conn.sock.unsent):
                wait.until = min(wait.until, deadline)

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        if conn.sock.unsent:
            send_more = partial(self._send_more, fs=fs)
            self._wait(conn, EVENT_WRITE, send_more, self.patience.answer, self._cut_off)
        elif not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._leave(conn)

    def _send_more(self, conn: TConn, _client: Any, *, fs: Future[Any]) -> None:
        try:
            done = conn.sock.flush()
        except OSError:
            self._stop_waiting(conn)
            self._drop(conn)
            return
        self._waits[conn].heard = time.monotonic()
        if done:
            self._stop_waiting(conn)
            self.finish_request(conn, fs)

    def _leave(self, conn: TConn) -> None:
        """Say that this was all, and let the client close: to close on unread bytes would tear up the answer."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(conn)
            return
        self._wait(conn, EVENT_READ, self._discard, LINGER_SECONDS, self._drop)

    def _discard(self, conn: TConn, client: Any) -> None:
        try:
            if socket.socket.recv(client, GULP):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._stop_waiting(conn)
        self._drop(conn)

    def _cut_off(self, conn: TConn) -> None:
        """The kernel would go on offering what it holds of the answer to somebody who does not want it."""
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._drop(conn)

    def _drop(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()

    def _wait(
        self,
        conn: TConn,
        event: int,
        then: Callable[[TConn, Any], None],
        seconds: float,
        too_late: Callable[[TConn], None],
    ) -> None:
        now = time.monotonic()
        conn.sock.setblocking(False)
        self.poller.register(conn.sock, event, partial(then, conn))
        self._waits[conn] = Wait(now + seconds, too_late, now)

    def _stop_waiting(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        del self._waits[conn]

    def murder_pending(self) -> None:
        """Called whenever something happened and at least each second; a look at everybody costs more than that."""
        now = time.monotonic()
        if now < self._looks_at:
            return
        self._looks_at = now + LOOKS_EVERY
        for conn, wait in [*self._waits.items()]:
            has_begun = conn.sock.arrived or conn.sock.unsent
            if now >= wait.until or (has_begun and now >= wait.heard + SILENCE_SECONDS):
                self._stop_waiting(conn)
                wait.too_late(conn)
