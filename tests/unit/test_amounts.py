"""Money: exact on every engine, strict at the door."""

from decimal import Decimal

import pytest
from marshmallow import Schema, ValidationError
from sqlalchemy import Column, Integer, MetaData, Table, func, insert, literal, select, type_coerce

from app.extensions import db
from app.models.types import Money
from app.schemas.fields import Amount, Currency


class Priced(Schema):
    price = Amount()
    currency = Currency()


@pytest.mark.parametrize(
    ("given", "read"),
    [("0", "0.00"), ("12.5", "12.50"), ("129.99", "129.99"), (7, "7.00"), ("999999999999.99", "999999999999.99")],
)
def test_an_amount_is_read_exactly_and_written_with_two_decimals(given, read):
    loaded = Priced().load({"price": given})
    assert loaded["price"] == Decimal(read)
    assert Priced().dump(loaded) == {"price": read}


@pytest.mark.parametrize(
    "given",
    [1.5, True, None, "", " 1", "1 ", "+1", "-1", "1e2", "NaN", "Infinity", "1_000", "12,50", "1.234", ".5", "5.",
     "１２", "1000000000000", [], {}],
)  # fmt: skip
def test_what_is_no_amount_is_refused(given):
    with pytest.raises(ValidationError):
        Priced().load({"price": given})


@pytest.mark.parametrize("given", ["XXX", "XTS", "QQQ", "usd", "US", "USDT", "ÜSD", "US$", 840])
def test_what_is_no_currency_is_refused(given):
    with pytest.raises(ValidationError):
        Priced().load({"currency": given})


def test_sums_of_money_are_exact_on_every_engine(app):
    """A third of these amounts have no exact binary fraction; a float would be a cent off long before a thousand."""
    amounts = Table("amounts_of_a_test", MetaData(), Column("amount", Money))
    with db.engine.connect() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE amounts_of_a_test (amount DECIMAL(14, 2))")
        connection.execute(insert(amounts), [{"amount": Decimal("1234567.89")}, {"amount": Decimal("0.10")}] * 1000)
        summed = connection.execute(
            select(type_coerce(func.sum(amounts.c.amount * literal(3, Integer)), Money))
        ).scalar_one()
        cheap = connection.execute(select(func.count()).where(amounts.c.amount < Decimal("0.11"))).scalar_one()
        connection.rollback()
    assert (summed, cheap) == (Decimal("3703703970.00"), 1000)


@pytest.mark.parametrize("code", ["USD", "EUR", "JPY", "XOF"])
def test_a_currency_is_one_of_iso_4217(code):
    assert Priced().load({"currency": code}) == {"currency": code}
