"""Which location gives how many: the strategies, splitting, and that a plan never spends a unit twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ItemArchived
from app.models.allocation import Allocation, Line, merged
from app.models.stock import Stock

PLACES = ("a", "b", "c")


def place(location: str, quantity: int, *, reserved: int = 0, priority: int = 100, archived: bool = False) -> Stock:
    return Stock(
        id=ord(location),
        product_id="KB-1",
        location=location,
        location_priority=priority,
        quantity=quantity,
        reserved_quantity=reserved,
        minimum_stock_level=0,
        maximum_stock_level=None,
        version=1,
        archived_at=datetime(2030, 1, 1, tzinfo=UTC) if archived else None,
    )


def planned(allocation: Allocation) -> list[tuple[str, int]]:
    return [(share.stock.location, share.units) for share in allocation.shares]


def test_the_lowest_priority_number_serves_first_whatever_it_has():
    allocation = Allocation("priority")
    allocation.add(Line("KB-1", 2), [place("a", 9, priority=20), place("b", 3, priority=10)])
    assert planned(allocation) == [("b", 2)]


def test_equal_priorities_are_served_in_the_order_of_their_codes():
    allocation = Allocation("priority")
    allocation.add(Line("KB-1", 2), [place("b", 9), place("a", 9)])
    assert planned(allocation) == [("a", 2)]


def test_most_stock_serves_from_the_fullest_by_what_is_free_and_not_by_what_is_there():
    allocation = Allocation("most_stock")
    allocation.add(Line("KB-1", 2), [place("a", 9, reserved=8), place("b", 3)])
    assert planned(allocation) == [("b", 2)]


def test_without_split_the_first_place_that_can_serve_it_all_does():
    allocation = Allocation("priority")
    allocation.add(Line("KB-1", 4), [place("a", 3, priority=1), place("b", 4, priority=2)])
    assert planned(allocation) == [("b", 4)]


def test_without_split_what_only_two_places_together_have_is_a_shortage_of_the_fullest():
    allocation = Allocation("priority")
    allocation.add(Line("KB-1", 5), [place("a", 2, priority=1), place("b", 3, priority=2)])
    assert (planned(allocation), allocation.is_refused) == ([], True)
    facts = allocation.refusal().facts
    assert (facts["requested"], facts["available_quantity"], facts["shortage"]) == (5, 3, 2)


def test_split_takes_from_the_preferred_place_first_and_the_rest_from_the_next():
    places = [place("a", 4, priority=2), place("b", 3, priority=1)]
    allocation = Allocation("priority", split=True)
    allocation.add(Line("KB-1", 5), places)
    assert planned(allocation) == [("b", 3), ("a", 2)]


def test_split_by_most_stock_empties_the_fullest_first():
    allocation = Allocation("most_stock", split=True)
    allocation.add(Line("KB-1", 5), [place("a", 2), place("b", 3)])
    assert planned(allocation) == [("b", 3), ("a", 2)]


def test_units_planned_for_one_line_are_not_free_for_the_next():
    places = [place("a", 10), place("b", 10)]
    allocation = Allocation("priority", split=True)
    allocation.add(Line("KB-1", 13), places)
    allocation.add(Line("KB-1", 7), places)
    assert planned(allocation) == [("a", 10), ("b", 3), ("b", 7)]
    allocation.add(Line("KB-1", 1), places)
    assert [error.facts["available_quantity"] for error in allocation.shortages] == [0]


def test_a_line_that_is_refused_leaves_its_units_to_the_next_line():
    allocation = Allocation("priority")
    allocation.add(Line("KB-1", 4), [place("a", 3)])
    allocation.add(Line("KB-1", 3), [place("a", 3)])
    assert planned(allocation) == [("a", 3)]
    assert allocation.is_refused


def test_partial_gives_what_there_is_and_says_what_is_missing():
    allocation = Allocation("priority", partial=True)
    allocation.add(Line("KB-1", 5), [place("a", 3)])
    assert (planned(allocation), allocation.is_refused) == ([("a", 3)], False)
    assert allocation.shortages[0].facts["shortage"] == 2


def test_partial_with_nothing_at_all_is_refused():
    allocation = Allocation("priority", partial=True)
    allocation.add(Line("KB-1", 5), [place("a", 0)])
    assert (planned(allocation), allocation.is_refused) == ([], True)


def test_a_refusal_carries_every_shortage_when_there_are_several():
    allocation = Allocation("priority")
    allocation.add(Line("KB-1", 5), [place("a", 3)])
    allocation.add(Line("KB-2", 2), [])
    facts = allocation.refusal().facts
    assert [(short["product_id"], short["shortage"]) for short in facts["shortages"]] == [("KB-1", 2), ("KB-2", 2)]
    assert facts["product_id"] == "KB-1"


def test_archived_places_serve_nobody_and_a_product_archived_everywhere_says_so():
    allocation = Allocation("priority")
    allocation.add(Line("KB-1", 1), [place("a", 0, archived=True), place("b", 1)])
    assert planned(allocation) == [("b", 1)]
    with pytest.raises(ItemArchived):
        allocation.add(Line("KB-1", 1), [place("a", 0, archived=True)])


LINES = st.lists(
    st.builds(Line, st.just("KB-1"), st.integers(1, 9), st.none() | st.sampled_from(PLACES)), min_size=1, max_size=6
)
STOCKS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), min_size=3, max_size=3)


@given(LINES, STOCKS, st.sampled_from(["priority", "most_stock"]), st.booleans(), st.booleans())
def test_a_plan_never_gives_more_than_is_free_nor_more_than_was_asked(lines, stocks, strategy, split, partial):
    places = [
        place(location, max(quantity, reserved), reserved=reserved, priority=priority)
        for location, (quantity, reserved, priority) in zip(PLACES, stocks, strict=True)
    ]
    allocation = Allocation(strategy, split=split, partial=partial)
    for line in lines:
        before = len(allocation.shares)
        allocation.add(line, [stock for stock in places if line.location in (None, stock.location)])
        given_now = sum(share.units for share in allocation.shares[before:])
        assert given_now == line.quantity or (allocation.shortages and given_now < line.quantity)
        assert given_now in (0, line.quantity) or partial
    for stock in places:
        units = [share.units for share in allocation.shares if share.stock is stock]
        assert sum(units) <= stock.available
        assert all(unit > 0 for unit in units)
    missing = sum(error.facts["shortage"] for error in allocation.shortages)
    if partial:
        assert sum(share.units for share in allocation.shares) + missing == sum(line.quantity for line in lines)


@given(LINES)
def test_merging_keeps_the_sum_of_every_product_and_place_and_names_each_once(lines):
    result = merged(lines)
    keys = [(line.product_id, line.location) for line in result]
    assert len(keys) == len(set(keys))
    for line in result:
        same = [one.quantity for one in lines if (one.product_id, one.location) == (line.product_id, line.location)]
        assert line.quantity == sum(same)
    assert sum(line.quantity for line in result) == sum(line.quantity for line in lines)


def test_merging_keeps_a_named_place_and_anywhere_apart():
    lines = [Line("KB-1", 1, "a"), Line("KB-1", 2), Line("KB-1", 3, "a")]
    assert merged(lines) == [Line("KB-1", 4, "a"), Line("KB-1", 2)]
