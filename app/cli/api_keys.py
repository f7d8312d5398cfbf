"""Give out, list, revoke and rotate API keys."""

from __future__ import annotations

from datetime import timedelta

import click
from flask.cli import AppGroup

from app.models.api_keys import Permission
from app.repositories import api_keys as key_rows
from app.schemas.fields import CODE
from app.services import api_keys, user_tokens
from app.utils import clock

group = AppGroup("api-keys", help="Who may call the service.")


@group.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([permission.value for permission in Permission]),
    help="Repeatable.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="Valid for so many days; without it, until revoked.")
def create(name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key for NAME and show it, once."""
    if not CODE.fullmatch(name) or name == "system" or name.startswith(user_tokens.ACTOR_PREFIX):
        raise click.BadParameter(
            "a name is 1-64 of A-Z a-z 0-9 . _ : - and begins with a letter or digit; system and user:… are taken"
        )
    _show(api_keys.create(name, scopes, lives=None if days is None else timedelta(days=days)))


@group.command("list")
def list_keys() -> None:
    """Every key that was ever given out, without its secret."""
    now = clock.now()
    for key in key_rows.every():
        state = "valid" if key.is_valid(now) else "ended"
        until = clock.written(key.expires_at) if key.expires_at else "revoked"
        used = clock.written(key.last_used_at) if key.last_used_at else "never"
        click.echo(
            f"{key.name:<24} inv_{key.prefix}_…  {state:<6} until {until:<28} used {used:<28} {' '.join(key.scopes)}"
        )


@group.command("revoke")
@click.argument("name")
def revoke(name: str) -> None:
    """End every key of NAME."""
    try:
        click.echo(f"{api_keys.revoke(name)} keys of {name} revoked")
    except api_keys.NoSuchKey as error:
        raise click.ClickException(str(error)) from None


@group.command("rotate")
@click.argument("name")
@click.option("--overlap-hours", type=click.IntRange(0, 720), default=24, show_default=True, help="For the old key.")
def rotate(name: str, overlap_hours: int) -> None:
    """Make a new key for NAME with the same permissions; the old one stays valid for a while."""
    try:
        _show(api_keys.rotate(name, overlap=timedelta(hours=overlap_hours)))
    except api_keys.NoSuchKey as error:
        raise click.ClickException(str(error)) from None


def _show(issued: api_keys.Issued) -> None:
    click.echo(f"{issued.key.name}: {' '.join(issued.key.scopes)}. The key, shown this once:", err=True)
    click.echo(issued.secret)
