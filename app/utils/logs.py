"""One JSON line per record, each with the request id and the actor, from the edge through to the job."""

from __future__ import annotations

import logging
import sys

from flask import Flask
from pythonjsonlogger.json import JsonFormatter

from app.utils import context
from config import Config


class _Context(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = context.request_id()
        record.actor = context.actor()
        return True


def init_app(app: Flask, config: Config) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Context())
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}{request_id}{actor}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )
    )
    root = logging.getLogger("app")
    root.handlers[:] = [handler]
    root.setLevel(config.log_level)
    root.propagate = config.env == "testing"
