"""Health: /health/, /health/live, /health/ready"""

from flask import Response
from flask_restx import Namespace, Resource

from app.controllers.auth import PUBLIC
from app.controllers.calls import read
from app.schemas.health import HealthView, LiveView, ReadyView
from app.services import health
from app.utils.cache import Entry
from app.utils.replies import cached, render

ns = Namespace("health", description="Whether the service can do its job")
CACHED_SECONDS = 1.0
VIEW = HealthView()


@ns.route("/")
class Health(Resource):
    @read(ns, scope=PUBLIC, returns=HealthView(), errors=[health.Unhealthy])
    def get(self) -> Response:
        """Each dependency: 200 when healthy or degraded, 503 when the service cannot work"""

        def fill() -> Entry:
            seen = health.check()
            if seen.status == health.UNHEALTHY:
                raise health.Unhealthy("the database does not answer", checks=seen.checks)
            return Entry(render(VIEW, seen, message=f"The service is {seen.status}"))

        return cached("health", "health", fill, seconds=CACHED_SECONDS)


@ns.route("/live")
class Live(Resource):
    @read(ns, scope=PUBLIC, returns=LiveView(), message="Alive")
    def get(self) -> dict[str, str]:
        """Whether the process answers; asks nobody else"""
        return {"status": "alive"}


@ns.route("/ready")
class Ready(Resource):
    @read(ns, scope=PUBLIC, returns=ReadyView(), message="Ready", errors=[health.Unhealthy, health.Stopping])
    def get(self) -> dict[str, str]:
        """Whether requests should be sent here: 503 without the database, and once the server is asked to stop"""
        health.check_ready()
        return {"status": "ready"}
