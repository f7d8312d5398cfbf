"""One call, sent until it is answered for good or the patience is over, and what may be concluded from the answers.

An attempt is `ok`, `refused` (4xx), `unchanged` (the service says that nothing was done, or nobody was there) or
`lost` (no answer, or one that says the outcome is unknown). A call has failed only if none of its attempts is lost:
one that hangs somewhere may still take effect after a later one was refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from tests.chaos.history import History

TIMEOUT = (2.0, 5.0)
RETRIES = 5
NOTHING_DONE = {"database_busy", "database_unavailable", "storage_full", "unavailable", "unhealthy"}
AGAIN = {"idempotency_in_progress"}


@dataclass(frozen=True, slots=True)
class Call:
    """`facts` are for the checker: what the call is about and its body does not say."""

    kind: str
    method: str
    path: str
    body: dict[str, Any] | None
    key: str
    facts: dict[str, Any]


@dataclass(slots=True)
class Attempt:
    outcome: str
    told: str
    data: Any = None
    replayed: bool = False
    asked_to_wait: bool = False


@dataclass(slots=True)
class Ending:
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        outcomes = {attempt.outcome for attempt in self.attempts}
        if "ok" in outcomes:
            return "ok"
        return "unknown" if "lost" in outcomes else "fail"

    @property
    def answers(self) -> list[Any]:
        """What it was told when it was told of success: one answer, or the service contradicts itself."""
        different: list[Any] = []
        for attempt in self.attempts:
            if attempt.outcome == "ok" and attempt.data not in different:
                different.append(attempt.data)
        return different


class Caller:
    """Sends to any of the service's instances, from any thread; each thread keeps its own connections."""

    def __init__(
        self,
        urls: Sequence[str],
        history: History,
        *,
        api_key: str | None = None,
        retries: int = RETRIES,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._urls, self._history, self._retries, self._timeout = list(urls), history, retries, timeout
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._own = threading.local()

    def perform(self, call: Call, random: Random, *, twice: bool = False, url: str | None = None) -> Any:
        """The data of the answer, or None; with `twice` the same call is sent by somebody else as well."""
        ending = self.settle(call, random, twice=twice, url=url)
        return ending.answers[0] if ending.answers else None

    def settle(self, call: Call, random: Random, *, twice: bool = False, url: str | None = None) -> Ending:
        """The same, told with every attempt; it and how it ended go to the history."""
        self._history.note("invoke", key=call.key, op=call.kind, path=call.path, body=call.body, **call.facts)
        ending, twin = Ending(), Ending()
        other = threading.Thread(target=self._try, args=(call, twin, Random(random.random()), url))
        if twice:
            other.start()
        self._try(call, ending, random, url)
        if twice:
            other.join()
            ending.attempts += twin.attempts
        self._history.note(
            ending.outcome,
            key=call.key,
            answers=ending.answers,
            attempts=[f"{attempt.outcome}: {attempt.told}" for attempt in ending.attempts],
            replayed=any(attempt.replayed for attempt in ending.attempts),
        )
        return ending

    def ask(self, path: str, random: Random) -> Ending:
        """A read, which is no part of the history."""
        ending = Ending()
        self._try(Call("read", "GET", path, None, "", {}), ending, random, None)
        return ending

    def send_raw(self, method: str, path: str, body: bytes, content_type: str) -> Attempt:
        """Once, as it is: for what no client of this kind would make."""
        return self._sent(method, self._urls[0] + path, data=body, headers={"Content-Type": content_type})

    def forget_connections(self) -> None:
        """The next call of this thread opens a connection, and so perhaps reaches another process."""
        self._session.close()

    def look_up(self, key: str) -> tuple[int, list[Any]]:
        """What `GET /idempotency/{key}` says was answered under a key."""
        answer = self._session.get(f"{self._urls[0]}/api/v1/idempotency/{key}", timeout=TIMEOUT)
        found = answer.json()["data"] if answer.status_code == 200 else []
        return answer.status_code, [past["answer"].get("data") for past in found]

    def shown(self, product_id: str, url: str) -> list[dict[str, Any]]:
        """What a reader is shown of a product, by location; it may come from a cache."""
        answer = self._session.get(f"{url}/api/v1/inventory/{product_id}", timeout=TIMEOUT)
        answer.raise_for_status()
        places: list[dict[str, Any]] = answer.json()["data"]["locations"]
        return places

    def post_until_done(self, path: str, body: dict[str, Any]) -> None:
        """For what the load needs and does not test."""
        for _ in range(20):
            answer = self._session.post(f"{self._urls[0]}/api/v1{path}", json=body, timeout=TIMEOUT)
            if answer.status_code in (201, 409):
                return
            time.sleep(0.5)
        raise RuntimeError(f"{path} answered {answer.status_code} {answer.text}")

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._own, "session"):
            self._own.session = requests.Session()
            self._own.session.headers.update(self._headers)
            self._own.session.trust_env = False
        session: requests.Session = self._own.session
        return session

    def _try(self, call: Call, ending: Ending, random: Random, url: str | None) -> None:
        for number in range(1 + self._retries):
            sent = self._send(call, url or random.choice(self._urls))
            ending.attempts.append(sent)
            if sent.outcome in ("ok", "refused"):
                return
            if number < self._retries:
                time.sleep(random.uniform(0.1, 0.5 * (1 + number)))

    def _send(self, call: Call, url: str) -> Attempt:
        headers = {"Idempotency-Key": call.key, "X-Request-ID": call.key} if call.key else {}
        return self._sent(call.method, f"{url}/api/v1{call.path}", json=call.body, headers=headers)

    def _sent(self, method: str, url: str, **what: Any) -> Attempt:
        try:
            answer = self._session.request(method, url, timeout=self._timeout, **what)
            found = attempt(answer.status_code, answer.json(), answer.headers.get("Idempotent-Replayed") == "true")
            found.asked_to_wait = "Retry-After" in answer.headers
            return found
        except requests.RequestException as error:
            never_sent = isinstance(_reason(error), NewConnectionError | ConnectTimeoutError)
            return Attempt("unchanged" if never_sent else "lost", type(error).__name__)
        except ValueError as error:
            return Attempt("lost", f"unreadable: {error}"[:200])


def attempt(status: int, body: dict[str, Any], replayed: bool) -> Attempt:
    """What an answer means."""
    if status < 300:
        return Attempt("ok", str(status), body["data"], replayed)
    code, told = body.get("code"), f"{status} {body.get('code')}"
    if code in AGAIN or status == 429 or (status == 503 and code in NOTHING_DONE):
        return Attempt("unchanged", told)
    return Attempt("refused" if status < 500 else "lost", told)


def _reason(error: requests.RequestException) -> Any:
    wrapped = error.args[0] if error.args else None
    return getattr(wrapped, "reason", wrapped)
