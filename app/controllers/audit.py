"""The self-audit: /audit"""

from typing import Any

from flask_restx import Namespace, Resource

from app.controllers.calls import read
from app.models.api_keys import Permission
from app.schemas.audit import AuditQuery, AuditView
from app.services import audit

ns = Namespace("audit", description="Whether everything that must be true is true")


@ns.route("")
class Audit(Resource):
    @read(ns, scope=Permission.ADMIN, query=AuditQuery(), returns=AuditView(), message="Audit")
    def get(self, query: dict[str, Any]) -> audit.Report:
        """Check the invariants of a bounded number of items; it reports and changes nothing"""
        return audit.check(after=query["after"], limit=query["limit"])
