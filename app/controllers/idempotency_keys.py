"""Look a result up after its answer was lost: /idempotency/{key}"""

import json
from typing import Any

from flask_restx import Namespace, Resource

from app.controllers.calls import read
from app.errors import IdempotencyKeyNotFound
from app.repositories import idempotency_keys
from app.schemas.idempotency_keys import PastAnswer
from app.utils import context

ns = Namespace("idempotency", description="What was answered under a key")


@ns.route("/<key:key>")
class PastAnswers(Resource):
    @read(ns, returns=PastAnswer(), many=True, message="Past answers", errors=[IdempotencyKeyNotFound])
    def get(self, key: str) -> list[dict[str, Any]]:
        """Show what the caller did under this key, the newest first"""
        rows = idempotency_keys.of_key(context.actor(), key)
        if not rows:
            raise IdempotencyKeyNotFound("nothing was done under this key", idempotency_key=key)
        return [dict(row._mapping) | {"answer": json.loads(row.body)} for row in rows]
