"""The calls a shop makes to a running service, each over HTTP on one keep-alive connection."""

from collections.abc import Mapping
from typing import Any

import requests
from tenacity import RetryCallState, retry, retry_if_result, stop_after_attempt

BULK_LIMIT = 1000
PAGE_SIZE = 100
TIMEOUT = (3.05, 30.0)  # seconds to connect, seconds to answer
TRIES = 5
LONGEST_WAIT = 5.0


class Refused(Exception):
    """The service said no, or nothing at all; `problem` is what it said."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        self.problem = problem
        self.code = str(problem.get("code", "unknown"))
        super().__init__(f"{self.code}: {problem.get('detail') or problem.get('title')}")

    @property
    def codes(self) -> set[str]:
        """The problem's code and, of a batch, the code of the row that made the service refuse it."""
        row = self.problem.get("refused")
        return {self.code, str(row.get("code"))} if isinstance(row, dict) else {self.code}


def _body(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    return body if isinstance(body, dict) else {"code": "not_json", "detail": response.text[:200]}


def _asks_to_try_again(response: requests.Response) -> bool:
    """True when a 503 promises that nothing was done; an unknown outcome must not be tried twice."""
    return (
        response.status_code == 503
        and "Retry-After" in response.headers
        and _body(response).get("code") != "outcome_unknown"
    )


def _as_long_as_asked(state: RetryCallState) -> float:
    assert state.outcome is not None
    asked = str(state.outcome.result().headers["Retry-After"])
    return min(float(asked) if asked.isdigit() else 1.0, LONGEST_WAIT)


class StockClient:
    """One session at one location, not for two threads at once. A product's id is `prefix` + its code."""

    def __init__(self, url: str, *, location: str, prefix: str = "", api_key: str | None = None) -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._location = location
        self._prefix = prefix
        self._session = requests.Session()
        if api_key:
            self._session.headers["X-API-Key"] = api_key

    def open_stock(self, opening: Mapping[str, int]) -> None:
        """Creates every code with its units, each batch entirely or not at all."""
        operations = [
            {"op": "create", "product_id": self._prefix + code, "quantity": units, "location": self._location}
            for code, units in opening.items()
        ]
        for start in range(0, len(operations), BULK_LIMIT):
            batch = operations[start : start + BULK_LIMIT]
            self._call("POST", "/inventory/bulk", json={"operations": batch, "atomic": True})

    def reserve(self, code: str, units: int, *, order_id: str, customer_id: str) -> str:
        """Holds the units and answers with the reservation's id."""
        hold = {
            "product_id": self._prefix + code,
            "quantity": units,
            "location": self._location,
            "order_id": order_id,
            "customer_id": customer_id,
        }
        return str(self._call("POST", "/reservations/", json=hold)["data"]["id"])

    def confirm(self, reservation_id: str) -> None:
        self._call("POST", f"/reservations/{reservation_id}/confirm", json={})

    def adjust(self, code: str, change: int, *, movement_type: str, reference_id: str) -> None:
        movement = {
            "quantity": change,
            "movement_type": movement_type,
            "location": self._location,
            "reference_id": reference_id,
        }
        self._call("POST", f"/inventory/{self._prefix}{code}/adjust", json=movement)

    def stock(self) -> dict[str, tuple[int, int]]:
        """Units on hand and reserved of every code, read page by page."""
        found: dict[str, tuple[int, int]] = {}
        query = {"location": self._location, "per_page": str(PAGE_SIZE)}
        more = True
        while more:
            page = self._call("GET", "/inventory/", params=query)
            for item in page["data"]:
                if item["product_id"].startswith(self._prefix):
                    code = item["product_id"].removeprefix(self._prefix)
                    found[code] = (item["quantity"], item["reserved_quantity"])
            more = bool(cursor := page["meta"].get("next_cursor"))
            query["cursor"] = cursor
        return found

    def _call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        try:
            response = self._send(method, self._base + path, timeout=TIMEOUT, **content)
        except requests.RequestException as error:
            raise Refused({"code": "no_answer", "detail": str(error)}) from error
        body = _body(response)
        if not response.ok or body.get("code") == "not_json":
            raise Refused({"status": response.status_code, **body})
        return body

    @retry(
        retry=retry_if_result(_asks_to_try_again),
        stop=stop_after_attempt(TRIES),
        wait=_as_long_as_asked,
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    def _send(self, method: str, url: str, **content: Any) -> requests.Response:
        return self._session.request(method, url, **content)
