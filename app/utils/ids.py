"""New identifiers: UUIDv7 strings, ordered by time and known before the insert."""

import uuid_utils


def new_id() -> str:
    return str(uuid_utils.uuid7())
