"""One effect per Idempotency-Key, whatever becomes of the answers."""

import threading

import pytest

from app.errors import OutcomeUnknown
from app.extensions import db
from app.models import IdempotencyKey
from app.repositories import idempotency_keys as key_rows
from app.services import idempotency_keys
from app.utils import transactions
from tests import factories

RESERVATIONS = "/api/v1/reservations/"
BODY = {"product_id": "KB-1", "quantity": 2, "order_id": "o-1", "customer_id": "c-1"}


def reserve(client, key, **more):
    return client.post(RESERVATIONS, json=BODY | more, headers={"Idempotency-Key": key})


def test_the_same_request_again_gets_the_same_answer_and_has_no_second_effect(client):
    factories.stock(10)
    first, again = reserve(client, "k-1"), reserve(client, "k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.data == again.data
    assert first.headers["Location"] == again.headers["Location"]
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert factories.numbers() == (10, 2, 8)


def test_without_a_key_the_same_request_again_is_another_request(client):
    factories.stock(10)
    for _ in range(2):
        assert client.post(RESERVATIONS, json=BODY).status_code == 201
    assert factories.numbers() == (10, 4, 6)


def test_json_written_otherwise_is_the_same_request(client):
    factories.stock(10)
    reserve(client, "k-1")
    text = '{ "customer_id":"c-1","order_id":"o-1",   "quantity":2, "product_id":"KB-1" }'
    headers = {"Idempotency-Key": "k-1", "Content-Type": "application/json"}
    assert client.post(RESERVATIONS, data=text, headers=headers).headers["Idempotent-Replayed"] == "true"


def test_a_key_for_another_payload_is_refused(client):
    factories.stock(10)
    reserve(client, "k-1")
    answer = reserve(client, "k-1", quantity=3)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert factories.numbers() == (10, 2, 8)


def test_a_key_means_something_only_for_its_call(client):
    factories.stock(10)
    held = reserve(client, "k-1").json["data"]["id"]
    confirmed = client.post(f"{RESERVATIONS}{held}/confirm", headers={"Idempotency-Key": "k-1"})
    assert (confirmed.status_code, "Idempotent-Replayed" in confirmed.headers) == (200, False)
    assert factories.numbers() == (8, 0, 8)


@pytest.mark.parametrize("bad", [{"quantity": 0}, {"quantity": 11}, {"surprise": 1}])
def test_a_refused_request_leaves_its_key_free(client, bad):
    factories.stock(10)
    assert reserve(client, "k-1", **bad).status_code in (409, 422)
    answer = reserve(client, "k-1")
    assert (answer.status_code, "Idempotent-Replayed" in answer.headers) == (201, False)
    assert factories.numbers() == (10, 2, 8)


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "\x7f", "k" * 256, '"open', '"a" "b"'])
def test_a_key_that_is_none_is_refused(client, key):
    factories.stock(10)
    answer = reserve(client, key)
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_idempotency_key")
    assert factories.numbers() == (10, 0, 10)


def test_two_keys_at_once_are_refused(client):
    factories.stock(10)
    answer = client.post(RESERVATIONS, json=BODY, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert (answer.status_code, answer.json["code"]) == (400, "invalid_idempotency_key")


def test_a_quoted_key_is_the_same_key(client):
    factories.stock(10)
    reserve(client, "k-1")
    assert reserve(client, '"k-1"').headers["Idempotent-Replayed"] == "true"


def test_every_kind_of_write_is_replayed_word_for_word(client):
    factories.stock(10)
    held = reserve(client, "make").json["data"]["id"]
    writes = [
        ("post", "/api/v1/inventory/", {"product_id": "NEW", "quantity": 3}, {}),
        ("put", "/api/v1/inventory/KB-1", {"quantity": 9}, {"If-Match": '"2"'}),
        ("post", "/api/v1/inventory/KB-1/adjust", {"quantity": 1, "movement_type": "inbound"}, {}),
        ("patch", f"{RESERVATIONS}{held}", {"quantity": 3}, {}),
        ("post", f"{RESERVATIONS}{held}/confirm", {}, {}),
        ("post", "/api/v1/inventory/bulk", {"operations": [{"op": "create", "product_id": "B", "quantity": 1}]}, {}),
        ("post", "/api/v1/locations/", {"code": "east", "name": "East"}, {}),
        ("delete", "/api/v1/locations/east", None, {}),
    ]
    for number, (verb, path, body, headers) in enumerate(writes):
        headers = headers | {"Idempotency-Key": f"w-{number}"}
        first, again = (getattr(client, verb)(path, json=body, headers=headers) for _ in range(2))
        assert first.status_code < 300, (path, first.text)
        assert (again.status_code, again.data) == (first.status_code, first.data)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.headers.get("ETag") == first.headers.get("ETag")
    assert factories.numbers() == (7, 0, 7)


def test_a_key_is_forgotten_after_seventy_two_hours(client, time):
    factories.stock(10)
    reserve(client, "k-1")
    time.forward(hours=72)
    assert reserve(client, "k-1").headers["Idempotent-Replayed"] == "true"
    time.forward(seconds=1)
    assert "Idempotent-Replayed" not in reserve(client, "k-1").headers


def test_the_sweep_purges_keys_whose_time_is_over_and_no_others(client, time):
    factories.stock(10)
    reserve(client, "old")
    time.forward(hours=72, seconds=1)
    reserve(client, "young")
    assert idempotency_keys.purge(time.instant) == 1
    assert [row.idempotency_key for row in db.session.query(IdempotencyKey).all()] == ["young"]


def test_a_lost_answer_can_be_looked_up(client):
    factories.stock(10)
    held = reserve(client, "k-1").json["data"]
    [past] = client.get("/api/v1/idempotency/k-1").json["data"]
    assert (past["method"], past["path"], past["status"]) == ("POST", RESERVATIONS, 201)
    assert past["answer"]["data"] == held
    assert client.get("/api/v1/idempotency/never").status_code == 404


def test_while_a_request_is_at_work_the_same_one_is_told_so_and_does_not_wait(app, client, monkeypatch):
    factories.stock(10)
    at_work, go_on, answers = threading.Event(), threading.Event(), []
    finish = key_rows.finish

    def slow_finish(*args, **kwargs):
        at_work.set()
        assert go_on.wait(10)
        finish(*args, **kwargs)

    monkeypatch.setattr(key_rows, "finish", slow_finish)

    def send():
        with app.app_context():
            answers.append(reserve(app.test_client(), "k-1"))

    first = threading.Thread(target=send)
    first.start()
    assert at_work.wait(10)
    busy = reserve(client, "k-1")
    go_on.set()
    first.join()
    assert (busy.status_code, busy.json["code"], busy.headers["Retry-After"]) == (409, "idempotency_in_progress", "1")
    assert answers[0].status_code == 201
    assert reserve(client, "k-1").headers["Idempotent-Replayed"] == "true"
    assert factories.numbers() == (10, 2, 8)


@pytest.mark.parametrize("backend", ["server"], indirect=True)
def test_another_process_at_work_is_noticed_without_waiting_for_its_lock(client):
    """The row of an uncommitted transaction is locked; asking for it with NOWAIT fails at once."""
    factories.stock(10)
    row = {"principal": "anonymous", "idempotency_key": "k-1", "method": "POST", "path": RESERVATIONS,
           "fingerprint": "x", "created_at": factories.clock.now()}  # fmt: skip
    with db.engine.connect() as other:
        other.execute(IdempotencyKey.__table__.insert().values(row))
        busy = reserve(client, "k-1")
        assert (busy.status_code, busy.json["code"]) == (409, "idempotency_in_progress")
        other.rollback()
    assert reserve(client, "k-1").status_code == 201


@pytest.mark.parametrize("came_through", [True, False])
def test_a_lost_reply_to_the_commit_is_resolved_by_the_key(client, monkeypatch, came_through):
    factories.stock(10)
    lose_next_commit(monkeypatch, came_through=came_through)
    answer = reserve(client, "k-1")
    assert (answer.status_code, answer.headers.get("Idempotent-Replayed")) == (201, "true" if came_through else None)
    assert factories.numbers() == (10, 2, 8)


@pytest.mark.parametrize("came_through", [True, False])
def test_without_a_key_a_lost_reply_is_told_as_unknown(client, monkeypatch, came_through):
    factories.stock(10)
    lose_next_commit(monkeypatch, came_through=came_through)
    answer = client.post(RESERVATIONS, json=BODY)
    assert (answer.status_code, answer.json["code"]) == (503, "outcome_unknown")
    assert factories.numbers()[1] == (2 if came_through else 0)


def lose_next_commit(monkeypatch, *, came_through):
    """The next commit is made, or not, and its reply is lost."""
    real = transactions._run_and_commit
    lost: list[int] = []

    def losing(use_case, args, kwargs):
        if lost:
            return real(use_case, args, kwargs)
        lost.append(1)
        if came_through:
            real(use_case, args, kwargs)
        raise OutcomeUnknown("the reply was lost")

    monkeypatch.setattr(transactions, "_run_and_commit", losing)


def test_ten_of_the_same_at_once_have_one_effect(app):
    factories.stock(10)
    answers: list[int] = []

    def send():
        with app.app_context():
            while (answer := reserve(app.test_client(), "k-1")).status_code == 409:
                pass
            answers.append(answer.status_code)

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 10
    assert factories.numbers() == (10, 2, 8)


def test_without_the_row_ten_of_the_same_would_have_ten_effects(app, monkeypatch):
    """The control: the key is read and never kept."""
    monkeypatch.setattr(idempotency_keys, "once", lambda scope, fingerprint, perform: perform())
    factories.stock(50)
    for _ in range(10):
        app.test_client().post(RESERVATIONS, json=BODY, headers={"Idempotency-Key": "k-1"})
    assert factories.numbers() == (50, 20, 30)
