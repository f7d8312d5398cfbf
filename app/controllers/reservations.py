"""Reservations: /reservations/"""

from datetime import timedelta
from typing import Any

from flask import Response
from flask_restx import Namespace, Resource

from app.controllers.calls import read, write
from app.errors import (
    AlreadyCancelled,
    AlreadyConfirmed,
    HoldBudgetExceeded,
    HoldCoolDown,
    HoldTimeExceeded,
    InsufficientStock,
    InvalidCursor,
    ItemArchived,
    PageTooDeep,
    QuantityAboveHold,
    ReservationExpired,
    ReservationNotFound,
    UnknownLocation,
)
from app.extensions import settings
from app.models.allocation import Line
from app.models.reservations import Hold, Status
from app.repositories import reservations as reservation_rows
from app.schemas.reservations import (
    BatchNew,
    BatchView,
    Confirm,
    ConfirmMany,
    HandOver,
    ReservationChange,
    ReservationNew,
    ReservationQuery,
    ReservationView,
)
from app.services import confirmations, reservations
from app.services.stock import STOCK, reservation_tag
from app.utils import clock
from app.utils.cache import Entry
from app.utils.replies import Reply, cached, list_key, render

ns = Namespace("reservations", description="Units promised for a limited time")
VIEW, VIEWS = ReservationView(), ReservationView(many=True)
ENDED = [AlreadyConfirmed, AlreadyCancelled, ReservationExpired]
SHORT = [InsufficientStock, ItemArchived]
HOARDED = [HoldBudgetExceeded, HoldCoolDown]


def _line(item: dict[str, Any]) -> Line:
    return Line(item["product_id"], item["quantity"], item["location"])


def _owner(body: dict[str, Any]) -> reservations.Owner:
    return reservations.Owner(order_id=body["order_id"], customer_id=body["customer_id"], notes=body["notes"])


@ns.route("/")
class Reservations(Resource):
    @read(
        ns,
        query=ReservationQuery(),
        returns=ReservationView(),
        many=True,
        errors=[InvalidCursor, PageTooDeep],
    )
    def get(self, query: dict[str, Any]) -> Response:
        """List reservations, newest first"""

        def fill() -> Entry:
            now, asked = clock.now(), query.pop("asked")
            page = reservation_rows.page(reservation_rows.Filters(**query), asked, now)
            body = render(VIEWS, page.rows, message="Reservations", meta=page.meta)
            return Entry(body, seconds=reservation_rows.seconds_to_next_expiry(now))

        return cached(list_key(), STOCK, fill, seconds=settings().list_cache_seconds)

    @write(
        ns,
        body=ReservationNew(),
        returns=ReservationView(),
        status=201,
        errors=[*SHORT, UnknownLocation, HoldTimeExceeded, *HOARDED],
    )
    def post(self, body: dict[str, Any]) -> Reply:
        """Hold units of a product for an order until they are confirmed, cancelled or the time is over"""
        hold = reservations.reserve(_line(body), _owner(body), ttl_seconds=body["ttl_seconds"])
        return Reply(hold, "Reservation created", headers={"Location": f"/api/v1/reservations/{hold.id}"})


@ns.route("/batch")
class ReservationBatch(Resource):
    @write(
        ns,
        body=BatchNew(),
        returns=BatchView(),
        status=201,
        message="Reservations created",
        errors=[*SHORT, UnknownLocation, HoldTimeExceeded, *HOARDED],
    )
    def post(self, body: dict[str, Any]) -> reservations.Batch:
        """Hold several products at once: all or nothing, unless allow_partial"""
        return reservations.reserve_batch(
            [_line(item) for item in body["items"]],
            _owner(body),
            ttl_seconds=body["ttl_seconds"],
            split=body["split"],
            allow_partial=body["allow_partial"],
        )


@ns.route("/confirm")
class ReservationConfirmMany(Resource):
    @write(
        ns,
        body=ConfirmMany(),
        returns=ReservationView(),
        many=True,
        message="Reservations confirmed",
        errors=[ReservationNotFound, *ENDED, *SHORT],
    )
    def post(self, body: dict[str, Any]) -> list[Hold]:
        """Confirm several reservations, all or none"""
        return confirmations.confirm_many(
            body["reservation_ids"], order_id=body["order_id"], on_expired=body["on_expired"]
        )


@ns.route("/transfer")
class ReservationHandOver(Resource):
    @write(
        ns,
        body=HandOver(),
        returns=ReservationView(),
        many=True,
        message="Reservations handed over",
        errors=[ReservationNotFound, *ENDED, HoldBudgetExceeded],
    )
    def post(self, body: dict[str, Any]) -> list[Hold]:
        """Give live holds to another customer or order without letting go of a unit"""
        ids = body.pop("reservation_ids")
        return reservations.hand_over(ids, **body)


@ns.route("/<id:reservation_id>")
class ReservationById(Resource):
    @read(ns, returns=ReservationView(), errors=[ReservationNotFound])
    def get(self, reservation_id: str) -> Response:
        """Show a reservation"""

        def fill() -> Entry:
            now = clock.now()
            hold = reservation_rows.get(reservation_id, now)
            lives = (hold.expires_at - now) / timedelta(seconds=1) if hold.status == Status.ACTIVE else None
            return Entry(render(VIEW, hold, message="Reservation"), seconds=lives)

        key = reservation_tag(reservation_id)
        return cached(key, key, fill, seconds=settings().cache_default_timeout)

    @write(
        ns,
        body=ReservationChange(),
        returns=ReservationView(),
        message="Reservation changed",
        errors=[ReservationNotFound, *ENDED, *SHORT, HoldTimeExceeded, *HOARDED],
    )
    def patch(self, reservation_id: str, body: dict[str, Any]) -> Hold:
        """Resize a live hold and/or let it end ttl_seconds from now"""
        return reservations.change(reservation_id, **body)

    @write(
        ns, returns=ReservationView(), message="Reservation cancelled",
        errors=[ReservationNotFound, AlreadyConfirmed, ReservationExpired],
    )  # fmt: skip
    def delete(self, reservation_id: str) -> Hold:
        """Give the units back; again gives the same answer"""
        return reservations.cancel(reservation_id)


@ns.route("/<id:reservation_id>/confirm")
class ReservationConfirm(Resource):
    @write(
        ns,
        body=Confirm(),
        optional_body=True,
        returns=ReservationView(),
        message="Reservation confirmed",
        errors=[ReservationNotFound, *ENDED, *SHORT, QuantityAboveHold],
    )
    def post(self, reservation_id: str, body: dict[str, Any]) -> Hold:
        """The units leave; again gives the same answer"""
        return confirmations.confirm(reservation_id, quantity=body["quantity"], on_expired=body["on_expired"])
