"""The commands of `flask --app run`, beside Flask's own and Flask-Migrate's `db`."""

from flask import Flask

from app.cli import api_keys, catalogue, demo, operations, replay, stock


def init_app(app: Flask) -> None:
    for command in (
        api_keys.group,
        operations.worker,
        operations.expire,
        operations.audit_command,
        operations.stats,
        replay.command,
        demo.seed,
        demo.reset_demo,
        stock.import_stock,
        stock.export_stock,
        catalogue.import_catalogue,
        catalogue.export_catalogue,
    ):
        app.cli.add_command(command)
