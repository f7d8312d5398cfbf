"""What goes wrong outside of a command is told in a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from redis import RedisError
from sqlalchemy.exc import SQLAlchemyError

from app.errors import DomainError
from app.utils import database_errors


@contextmanager
def told_plainly() -> Iterator[None]:
    try:
        yield
    except DomainError as error:
        raise click.ClickException(str(error)) from error
    except SQLAlchemyError as error:
        known = database_errors.translated(error)
        said = getattr(error, "orig", None) or error
        hint = "" if known else "; has `flask --app run db upgrade` been run?"
        raise click.ClickException(f"{known or 'the database refused'} ({said}){hint}") from error
    except RedisError as error:
        raise click.ClickException(f"Redis does not answer: {error}") from error
