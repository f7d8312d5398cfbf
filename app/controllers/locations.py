"""Locations: /locations/"""

from typing import Any

from flask_restx import Namespace, Resource

from app.controllers import preconditions
from app.controllers.calls import read, write
from app.errors import (
    AlreadyExists,
    InvalidIfMatch,
    LocationInUse,
    LocationNotFound,
    VersionConflict,
    VersionMismatch,
    VersionRequired,
)
from app.models.api_keys import Permission
from app.models.locations import Location
from app.repositories import locations as location_rows
from app.schemas.locations import LocationChange, LocationNew, LocationQuery, LocationView
from app.services import locations
from app.utils.replies import Reply

ns = Namespace("locations", description="Stores and warehouses that hold stock")


def _reply(location: Location, message: str) -> Reply:
    return Reply(location, message, etag=str(location.version))


@ns.route("/")
class Locations(Resource):
    @read(ns, query=LocationQuery(), returns=LocationView(), many=True, message="Locations")
    def get(self, query: dict[str, Any]) -> Reply:
        """List locations, those served first first"""
        page = location_rows.page(query["include_deleted"], query["asked"])
        return Reply(page.rows, meta=page.meta)

    @write(ns, scope=Permission.ADMIN, body=LocationNew(), returns=LocationView(), status=201, errors=[AlreadyExists])
    def post(self, body: dict[str, Any]) -> Reply:
        """Open a location"""
        location = locations.create(body)
        reply = _reply(location, "Location created")
        reply.headers["Location"] = f"/api/v1/locations/{location.code}"
        return reply


@ns.route("/<code:code>")
class LocationByCode(Resource):
    @read(ns, returns=LocationView(), message="Location", errors=[LocationNotFound])
    def get(self, code: str) -> Reply:
        """Show a location"""
        return _reply(location_rows.get(code), "Location")

    @write(
        ns,
        scope=Permission.ADMIN,
        body=LocationChange(),
        returns=LocationView(),
        headers={"If-Match": "the version the change was decided on"},
        errors=[LocationNotFound, VersionRequired, VersionMismatch, VersionConflict, InvalidIfMatch],
    )
    def put(self, code: str, body: dict[str, Any]) -> Reply:
        """Change a location under the version it was read at"""
        version = body.pop("version", None)
        changed = locations.update(code, body, version=version, versions=preconditions.versions())
        return _reply(changed, "Location changed")

    @write(ns, scope=Permission.ADMIN, returns=LocationView(), errors=[LocationNotFound, LocationInUse])
    def delete(self, code: str) -> Reply:
        """Close a location that holds no inventory"""
        return _reply(locations.delete(code), "Location deleted")


@ns.route("/<code:code>/restore")
class LocationRestore(Resource):
    @write(ns, scope=Permission.ADMIN, returns=LocationView(), errors=[LocationNotFound])
    def post(self, code: str) -> Reply:
        """Open a closed location again"""
        return _reply(locations.restore(code), "Location restored")
