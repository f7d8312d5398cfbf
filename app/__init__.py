"""The inventory and reservation service."""

from __future__ import annotations

from flask import Flask

from app import cli, controllers, extensions
from app.jobs import expiry
from app.utils import gatekeeping, logs
from config import Config


def create_app(config: Config | None = None) -> Flask:
    """The composition root: everything the service is made of comes together here."""
    config = config or Config.from_env()
    app = Flask(__name__)
    app.config.from_mapping(config.for_flask())
    logs.init(config)
    extensions.init_app(app, config)
    gatekeeping.init_app(app, config)
    controllers.init_app(app)
    cli.init_app(app)
    expiry.init_app(app)
    return app
