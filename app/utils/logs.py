"""One JSON line per record, each with the request id and the actor, from the edge through to the job."""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from app.utils import context
from config import Config

# Ours, and those of the libraries that have something to say to whoever runs the service.
LOGGERS = {"app": None, "rq": "WARNING", "gunicorn.error": "WARNING", "alembic": "WARNING"}


class _Context(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = context.request_id()
        record.actor = context.actor()
        return True


def init(config: Config) -> None:
    for name, level in LOGGERS.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler()]
        logger.setLevel(level or config.log_level)
        logger.propagate = config.env == "testing"


def handler() -> logging.Handler:
    lines = logging.StreamHandler(sys.stderr)
    lines.addFilter(_Context())
    lines.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}{request_id}{actor}",
            style="{",
            rename_fields={"levelname": "level", "name": "logger", "timestamp": "time"},
            timestamp=True,
        )
    )
    return lines
