"""One JSON line per record, each with the request id and the actor, from the edge through to the job. No secrets."""

from __future__ import annotations

import logging
import threading
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from app.utils import context, redaction
from app.utils.standard_error import StandardError
from config import Config

# Ours, and those of the libraries that have something to say to whoever runs the service; "" is everybody else.
LOGGERS = {"app": None, "rq": "WARNING", "gunicorn.error": "WARNING", "alembic": "WARNING", "": "WARNING"}
_secrets: list[str] = []


class Lines(JsonFormatter):
    """JSON in ASCII, so that no control character or line separator is written as itself."""

    def __init__(self) -> None:
        super().__init__(
            "{levelname}{name}{message}{request_id}{actor}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "timestamp": "time"},
            timestamp=True,
        )

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:  # the standard library would print the record as it is, secrets and all
            said = f"a record of line {record.lineno} cannot be written: {type(error).__name__}"
            return super().format(logging.makeLogRecord({"name": record.name, "levelname": "ERROR", "msg": said}))

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        return {name: _clean(value, name) for name, value in log_data.items()}

    def serialize_log_record(self, log_data: dict[str, Any]) -> str:
        # The one control character that JSON leaves as it is.
        return super().serialize_log_record(log_data).replace("\x7f", "\\u007f")


class _Context(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = context.request_id()
        record.actor = context.actor()
        return True


def init(config: Config) -> None:
    """From here on everything that is logged in this process is such a line, also what nobody caught."""
    _secrets[:] = redaction.secrets_of(config)
    testing = config.env == "testing"
    for name, level in LOGGERS.items():
        if name or not testing:
            logger = logging.getLogger(name)
            logger.handlers[:] = [handler()]
            logger.setLevel(level or config.log_level)
            logger.propagate = testing
    if not testing:
        logging.captureWarnings(True)
        threading.excepthook = _tell_of_thread


def handler() -> logging.Handler:
    lines = StandardError()
    lines.addFilter(_Context())
    lines.setFormatter(Lines())
    return lines


def _clean(value: Any, name: str = "") -> Any:
    if value is None or isinstance(value, bool | int | float) or hasattr(value, "isoformat"):
        return value
    if redaction.is_secret(name):
        return redaction.HIDDEN
    if isinstance(value, dict):
        return {str(key): _clean(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return redaction.without_secrets(str(value), _secrets)


def _tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None:
        error = (failed.exc_type, failed.exc_value, failed.exc_traceback)
        logging.getLogger("app").error("a thread ended by itself", exc_info=error)
