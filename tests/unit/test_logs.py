"""What is logged: one line of JSON for each record, no secret in it, whatever somebody put into the words."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import time as real_time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from rq import Queue, SimpleWorker

from app.extensions import db
from app.utils import context, logs, standard_error
from app.utils.redaction import LONGEST, secrets_of, without_secrets
from app.utils.standard_error import StandardError
from config import Config

KEY = "inv_0a1b2c3d_pQ7xY2mZ9-kL4nR8tV1wS6uE3oI5aD0fGhJ"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl_b2Y-aXQ"
PASSWORD = "Tr0ub4dor&3"
CONFIG = Config(
    env="production",
    database_url=f"mysql://inventory:{PASSWORD}@db/inventory",
    redis_url="redis://:hunter2hunter2@cache:6379/0",
    product_service_url="https://us:pr0ductpass@products/api",
    secret_key="0f1e2d3c4b5a69788796a5b4c3d2e1f0",
)
SECRETS = ("pQ7xY2mZ9", "eyJzdWIi", "c2lnbmF0dXJl", PASSWORD, "hunter2", "pr0duct", CONFIG.secret_key, "s3cr3t")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A logger that writes as the service does under CONFIG, and what it has written so far as lines."""
    monkeypatch.setattr(logs, "_secrets", secrets_of(CONFIG))
    written = io.StringIO()
    handler = logs.handler()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.propagate = False
    logger.written = written  # type: ignore[attr-defined]
    yield logger
    logger.removeHandler(handler)


def line_of(log: Any) -> dict[str, Any]:
    """The one line that was written."""
    [line] = log.written.getvalue().splitlines()
    assert line.isascii() and line.isprintable()
    assert not [secret for secret in SECRETS if secret in line], line
    told: dict[str, Any] = json.loads(line)
    return told


# ── One line ─────────────────────────────────────────────────────────────────────────────────────


def test_a_record_is_one_line_with_what_everybody_looks_for(log):
    with context.acting_as("shop", "r-1"):
        log.warning("%s units", 3, extra={"expired": 7})
    told = line_of(log)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "WARNING",
        "logger": "tests.logs",
        "message": "3 units",
        "request_id": "r-1",
        "actor": "shop",
        "expired": 7,
    }


@given(st.text())
def test_any_text_is_one_line_and_comes_back_as_it_was(text):
    record = logging.makeLogRecord({"msg": "%s", "args": (text,), "path": text})
    line = logs.Lines().format(record)
    assert line.isascii() and line.isprintable()
    if without_secrets(text) == text:
        assert (json.loads(line)["message"], json.loads(line)["path"]) == (text, text)


@pytest.mark.parametrize("mark", ["\r\n", "\n", "\x1b[2J", "\u2028", "\u2029", "\x85", "\x0b", "\x7f", "\x00"])
def test_what_would_break_or_hide_a_line_is_written_escaped(log, mark):
    log.error("path /a%s{}", mark, extra={"path": f"/b{mark}", mark: 1})
    told = line_of(log)
    assert (told["message"], told["path"], told[mark]) == (f"path /a{mark}{{}}", f"/b{mark}", 1)


def test_half_a_character_is_written_escaped():
    # Formatted here and logged nowhere: no other handler of a test run could encode it.
    line = logs.Lines().format(logging.makeLogRecord({"msg": "path /a%s", "args": ("\ud800",)}))
    assert (line.isascii(), json.loads(line)["message"]) == (True, "path /a\ud800")


def test_an_exception_is_in_the_same_line(log):
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        log.exception("failed", stack_info=True)
    told = line_of(log)
    assert told["exc_info"].endswith("ValueError: first\nsecond")
    assert "stack_info" in told


def test_a_record_that_cannot_be_written_costs_its_words_and_not_its_line_nor_a_secret(log, capsys):
    class Rude:
        def __str__(self) -> str:
            raise RuntimeError("s3cr3t")

    handler = log.handlers[0]
    handler.handle(log.makeRecord("tests.logs", logging.WARNING, "f", 1, "%s and %s", ("s3cr3t",), None))
    [line] = log.written.getvalue().splitlines()
    assert "cannot be written: TypeError" in json.loads(line)["message"]
    handler.handle(log.makeRecord("tests.logs", logging.WARNING, "f", 1, "hi", (), None, extra={"who": Rude()}))
    assert "cannot be written: RuntimeError" in log.written.getvalue().splitlines()[1]
    assert "s3cr3t" not in log.written.getvalue() + capsys.readouterr().err


def test_a_text_without_end_is_cut_in_the_middle(log):
    log.warning("a" * 1_000_000 + "b")
    log.warning("begin" + " a" * 100_000 + "end")
    first, second = (json.loads(line)["message"] for line in log.written.getvalue().splitlines())
    assert len(first) <= LONGEST + 3
    assert (len(second) <= LONGEST + 3, second[:5], second[-3:]) == (True, "begin", "end")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard error is a full pipe; its reading end."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"." * 4096)
    monkeypatch.setattr(standard_error, "_descriptor", lambda: writer)
    monkeypatch.setattr(StandardError, "cut", False)
    yield reader
    os.close(reader)
    os.close(writer)


def standard_error_of(name: str) -> logging.Logger:
    handler = logs.handler()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(sys.__stderr__)
    logger = logging.Logger(name)
    logger.addHandler(handler)
    return logger


def test_a_line_of_which_a_full_pipe_took_only_the_beginning_spoils_no_other(narrow):
    one, other = standard_error_of("one"), standard_error_of("other")
    os.read(narrow, 8192)
    one.error("long %s", "x y " * 3000)
    while len(os.read(narrow, 1_000_000)) == 1_000_000:
        pass
    other.error("short")
    one.error("shorter")
    rest = os.read(narrow, 1_000_000)
    assert rest[:1] == b"\n"
    told = [json.loads(line)["message"] for line in rest.splitlines() if line]
    assert told == ["short", "shorter"]


# ── No secret ────────────────────────────────────────────────────────────────────────────────────

WITH_SECRETS = [
    f"Authorization: Bearer {KEY}",
    f"authorization:Bearer {JWT}",
    "Authorization: Basic dXNlcjpzM2NyM3Q6czNjcjN0s3cr3t",
    "Authorization: s3cr3t",
    f"X-API-Key: {KEY}",
    "x-api-key: s3cr3t",
    "HTTP_X_API_KEY=s3cr3t",
    "{'X-Api-Key': 's3cr3t', 'Accept': '*/*'}",
    '{"authorization": "Bearer s3cr3t"}',
    "[('X-API-Key', 's3cr3t'), ('Accept', '*/*')]",
    "[(b'X-API-KEY', b's3cr3t')]",
    "Cookie: a=1; session=s3cr3t",
    "Set-Cookie: s3cr3t; HttpOnly",
    f"Invalid HTTP Header: 'Authorization : Bearer {KEY}'",
    f"/api/v1/inventory/{KEY}",
    f"/api/v1/inventory/?q={JWT}",
    f"%20{JWT}%20",
    f"token {JWT} of ada",
    "GET /?access_token=s3cr3t&page=1 HTTP/1.1",
    "GET /?api_key=s3cr3t HTTP/1.1",
    "GET /?apikey=s3cr3t HTTP/1.1",
    "GET /?password=s3cr3t&x=1",
    "GET /?X-Amz-Signature=s3cr3t",
    "GET /?client_secret%3Ds3cr3t",
    "GET /?q=Bearer+s3cr3ts3cr3t",
    "connect(host='db', password='s3cr3t', user='x')",
    "connect(passwd=b's3cr3t')",
    '{"password": "s3cr3t with spaces", "user": "x"}',
    "[parameters: {'secret_hash': 's3cr3t', 'name': 'shop'}]",
    "pwd = s3cr3t",
    f"(pymysql) mysql://inventory:{PASSWORD}@db:3306/inventory refused",
    "mysql+pymysql://u:s3cr3t@h/d",
    "redis://:s3cr3t@cache:6379/0",
    "https://user:s3cr3t@products/api/products/KB-1",
    "mysql://u:p@s3cr3t/w@db/d",
    "amqp://u:s3cr3t@h and redis://:s3cr3t@h",
    f"the key is {CONFIG.secret_key}",
    "redis said hunter2hunter2 is wrong",
    f"quoted {PASSWORD!r}",
    "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t\ns3cr3t\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\ns3cr3t cut off",
    "clone https://s3cr3t@host/x",
    "GET /?key=s3cr3t&page=1",
    "GET /?page=1&key%3Ds3cr3t",
    "GET /?access_key=s3cr3t",
    "GET /blob?sv=1&sig=s3cr3t",
    "private_key=s3cr3t",
    "passphrase: s3cr3t",
    "jwt_key='s3cr3t'",
    "{'JWT-Keys': 's3cr3t'}",
    'Authorization: Digest username="x", realm="y", response="s3cr3t"',
    '{"password": "a\\"s3cr3t", "user": "x"}',
    '{"body": "{\\"password\\": \\"s3cr3t with spaces\\"}"}',
    "CREATE USER u IDENTIFIED BY 's3cr3t'",
    "create user u@'h' identified with 'a_plugin' by 's3cr3t and more'",
    "IDENTIFIED VIA ed25519 USING PASSWORD('s3cr3t')",
]


@pytest.mark.parametrize("words", WITH_SECRETS)
def test_no_secret_is_written_wherever_it_stands(log, words):
    log.warning(words)
    told = line_of(log)
    assert "***" in told["message"]
    log.written.truncate(0), log.written.seek(0)
    try:
        raise RuntimeError(words) from OSError(words)
    except RuntimeError:
        log.exception("failed: %s", words, extra={"path": words, "facts": {"a": [words]}, "given": (words,)})
    told = line_of(log)
    assert "***" in told["exc_info"] and "***" in told["path"] and "***" in told["facts"]["a"][0]


@pytest.mark.parametrize(
    "name", ["password", "api_key", "Authorization", "X-API-Key", "cookie", "secret_hash", "token"]
)
def test_what_goes_by_the_name_of_a_secret_is_not_written(log, name):
    log.warning("x", extra={name: "s3cr3t", "more": {name: ["s3cr3t"]}})
    told = line_of(log)
    assert (told[name], told["more"]) == ("***", {name: "***"})


def test_enough_is_left_to_know_which_key_or_server_it_was():
    assert without_secrets(f"key {KEY}.") == "key inv_0a1b2c3d_***."
    assert without_secrets("mysql://inventory:geheim@db:3306/x") == "mysql://inventory:***@db:3306/x"
    assert without_secrets("GET /?page=1&token=geheim&per_page=2") == "GET /?page=1&token=***&per_page=2"
    assert without_secrets("{'X-API-Key': 'geheim', 'Accept': 'a'}") == "{'X-API-Key': '***', 'Accept': 'a'}"
    assert without_secrets('{"password": "a\\"b", "user": "x"}') == '{"password": "***", "user": "x"}'
    assert without_secrets("https://geheim@host/x?page=1&key=geheim&a=b") == "https://***@host/x?page=1&key=***&a=b"


@pytest.mark.parametrize(
    "words",
    [
        "request",
        "40 of 41 units of KB-1 available",
        "/api/v1/inventory/KB-1/movements",
        "/api/v1/idempotency/order-17",
        "http://127.0.0.1:5000/api/v1/docs/",
        "mail to ada@example.org",
        "the product service failed: HTTPConnectionPool(host='127.0.0.1', port=1234): Max retries exceeded",
        "redis.exceptions.AuthenticationError: invalid username-password pair",
        "jwt.exceptions.InvalidSignatureError: Signature verification failed",
        "basic facts about tokens",
        "GET http://shop.example/users/@ada?mail=ada@example.org",
        "Duplicate entry 'KB-1' for key 'uq_inventory_items_product_id'",
        "no item was identified by this id, access is private, the digest differs",
        "/api/v1/inventory/?key_only=1&sign=2",
        "(pymysql.err.OperationalError) (1045, \"Access denied for user 'x'@'h' (using password: YES)\")",
    ],
)
def test_harmless_words_are_left_as_they_are(words):
    assert without_secrets(words, secrets_of(CONFIG)).replace("***", "YES") == words


def test_a_configured_word_too_short_to_be_a_secret_does_not_blot_out_everything():
    weak = Config(database_url="mysql://u:a@h/d", redis_url="redis://:db@h", secret_key="x" * 32)
    assert secrets_of(weak) == ["x" * 32]


HOSTILE = [
    *("a-", "eyJ", "eyJa.", "inv_00000000_", "://", "://a", "://a:", "token", "token=", "bearer ", "'", "cookie:"),
    *("pwd,'", "password='\\", "access_key", "?key=", "%3D", "digest a=", "identified ", "identified by '"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_of_a_stranger_keeps_the_writer_busy(piece):
    """As long as the longest URL; a search that starts again at every character would take minutes."""
    for text in (piece * (8_000 // len(piece)), "secret" + piece * (8_000 // len(piece))):
        started = real_time.process_time()
        without_secrets(text, secrets_of(CONFIG))
        assert real_time.process_time() - started < 0.2


# ── Everybody's lines ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logging as a serving process has it, until the test is over; all that it writes."""
    written = io.StringIO()
    before = {name: vars(logging.getLogger(name)).copy() for name in logs.LOGGERS}
    handlers = {name: [*logging.getLogger(name).handlers] for name in logs.LOGGERS}
    monkeypatch.setattr(logs, "_secrets", [])
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    logs.init(CONFIG)
    yield written
    logging.captureWarnings(False)
    for name, state in before.items():
        vars(logging.getLogger(name)).update(state | {"handlers": handlers[name]})


def lines_of(written: io.StringIO) -> list[dict[str, Any]]:
    text = written.getvalue()
    assert not [secret for secret in SECRETS if secret in text], text
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["app.services.stock", "gunicorn.error", "rq.worker", "urllib3", "a_library", "root"])
def test_every_logger_of_the_process_writes_such_lines_once(serving, name):
    logging.getLogger(name).warning("%s", f"mysql://u:{PASSWORD}@h\n\u2028")
    [line] = lines_of(serving)
    assert (line["logger"], line["message"]) == (name, "mysql://u:***@h\n\u2028")


def test_a_warning_is_such_a_line(serving):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(f"old\n{KEY}", stacklevel=1)
    assert [line["logger"] for line in lines_of(serving)] == ["py.warnings"]


def test_a_thread_that_ends_by_an_error_is_such_a_line(serving):
    def fail() -> None:
        raise RuntimeError(f"redis://:{PASSWORD}@h")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    [line] = lines_of(serving)
    assert (line["level"], line["exc_info"].splitlines()[-1]) == ("ERROR", "RuntimeError: redis://:***@h")


def failing_job(words: str) -> None:
    raise RuntimeError(words)


def test_a_job_that_fails_is_such_a_line(serving, redis_server):
    connection = redis.Redis.from_url(redis_server.url)
    queue = Queue("logs", connection=connection, serializer="json")
    queue.enqueue(failing_job, f"mysql://u:{PASSWORD}@h", failure_ttl=1)
    SimpleWorker([queue], connection=connection, serializer="json").work(burst=True, logging_level="WARNING")
    connection.close()
    told = lines_of(serving)
    assert any("RuntimeError: mysql://u:***@h" in str(line) for line in told)


@pytest.mark.parametrize("backend", ["server", "embedded"], indirect=True)
def test_the_database_is_not_quoted_with_the_values_it_was_sent(app):
    with pytest.raises(Exception) as failed:
        db.session.execute(db.text("INSERT INTO nowhere (a) VALUES (:a)"), {"a": "s3cr3t"})
    assert "s3cr3t" not in str(failed.value)
    db.session.rollback()
