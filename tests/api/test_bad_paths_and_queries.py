"""Ids, URLs and query strings nobody should send: 404 where nothing can be, 400 for a bad query, nothing changed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.models.inventory_items import RESERVED_WORDS
from tests import factories
from tests.api.refusals import assert_refused, nothing_changes
from tests.conftest import NOON

API = "/api/v1"
HOLD_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
LISTS = [
    "/inventory/",
    "/movements/",
    "/reservations/",
    "/locations/",
    "/inventory/low-stock",
    "/inventory/KB-1/movements",
]

FULL_WIDTH_1, CYRILLIC_A = "%EF%BC%91", "%D0%90"
NO_ID = f"-1 abc 1.0 %00 .. 1208925819614629174706176 00001 {FULL_WIDTH_1} {HOLD_ID.upper()} {HOLD_ID}%0A"
NO_CODE = f"-1 _ . %00 .. a%2Fb a%20b a%0A %F0%9F%98%80 %C3%28 {FULL_WIDTH_1} {CYRILLIC_A}-1 {'a' * 65}"
BAD_PAGES = f"0 -1 1180591620717411303424 1_0 %201 1%20 %2B1 1.0 1e1 abc %00 {FULL_WIDTH_1} {'9' * 5000}"
BAD_QUERIES = {
    "/inventory/": f"""
        pgae=2 PAGE=1 page%5B%5D=1 %00=1 page=1&page=2 sort=quantity&sort=quantity sort=id;-- sort=unknown sort=
        sort=notes low_stock=1 low_stock=True low_stock= has_reservations=yes q= q=%20 q=%00 q=%0A q={"a" * 101}
        q={"%25" * 1000} location=a%20b location= product_id= product_id=a%0A product_id=KB-1&product_id=- cursor=abc
        cursor= cursor=. cursor=%C3%A9 cursor=W10.x cursor=abc&page=1""",
    "/movements/": f"""
        from=2030-01-01T00:00:01Z&to=2030-01-01T00:00:00Z from=2030-01-01 from=20300101 from=2030-W01-2 from=now from=
        from=2030-01-01T00:00:00 from=2030-01-01%2000:00:00Z from=2030-01-01T00:00:60Z from=2030-01-01T24:00:00Z
        from=2030-02-30T00:00:00Z from=2030-01-01T00:00:00%2B25:00 from=2030-01-01T00:00:00.1234567Z
        from=0001-01-01T00:00:00%2B14:00 to=9999-12-31T23:59:59-14:00 from={FULL_WIDTH_1}030-01-01T00:00:00Z
        after=-1 after=1.0 after= after={"9" * 19} after=0&page=1 after=0&cursor=x
        movement_type=theft movement_type= reference_id=a%20b reference_id={"a" * 65}""",
    "/reservations/": f"status=nope status=ACTIVE status= customer_id=%00 order_id={'a' * 65} notes=x",
    "/locations/": "include_deleted=1 include_deleted= code=x",
    "/inventory/search": f"location=default q= q={'a' * 101}",
    "/inventory/summary": "page=1 location=%00",
    "/inventory/KB-1": "as_of=2029 as_of= as_of=2030-01-01T12:00:01Z location=a/b page=1",
    "/inventory/KB-1/explain": "as_of=2030-01-01T00:00:00Z location=",
    "/inventory/KB-1/availability": "quantity=0 quantity=-1 quantity=1.0 quantity=1000000001 quantity= qty=1",
    f"/reservations/{HOLD_ID}": "fields=id",
    "/audit": "limit=0 limit=10001 after=-1 repair=true",
    "/health/": "verbose=1",
    "/health/live": "x=1",
    "/health/ready": "x=1",
}
NOTHING_THERE = {
    "/inventory/NOBODY": "inventory_item_not_found",
    "/inventory/NOBODY/explain": "inventory_item_not_found",
    "/inventory/NOBODY/movements": "inventory_item_not_found",
    "/inventory/NOBODY/availability": "inventory_item_not_found",
    "/inventory/kb-1": "inventory_item_not_found",
    "/inventory/KB-1?location=nowhere": "inventory_item_not_found",
    "/locations/nowhere": "location_not_found",
}


@pytest.fixture(autouse=True)
def _stock(app):
    factories.stock(5)


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/confirm")])
def test_what_is_no_uuid_of_ours_is_no_reservation(client, subtests, method, rest):
    with nothing_changes():
        for hold in NO_ID.split():
            with subtests.test(hold=hold):
                answer = client.open(f"{API}/reservations/{hold}{rest}", method=method, json={"quantity": 1})
                assert_refused(answer, 404, "not_found")


@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("DELETE", ""), ("POST", "/confirm")])
def test_an_id_that_nobody_has_is_404_and_says_which(client, method, rest):
    answer = client.open(f"{API}/reservations/{HOLD_ID}{rest}", method=method)
    assert assert_refused(answer, 404, "reservation_not_found")["reservation_id"] == HOLD_ID


@pytest.mark.parametrize("path", ["/inventory/{}", "/inventory/{}/movements", "/inventory/{}/explain", "/locations/{}"])
def test_what_is_no_code_is_an_unknown_url(client, subtests, path):
    for code in NO_CODE.split():
        with subtests.test(code=code):
            assert_refused(client.get(API + path.format(code)), 404, "not_found")


@pytest.mark.parametrize(("path", "code"), NOTHING_THERE.items())
def test_a_good_code_that_names_nothing_is_404(client, path, code):
    assert_refused(client.get(API + path), 404, code)


@pytest.mark.parametrize("word", sorted(RESERVED_WORDS))
def test_the_name_of_a_call_is_never_taken_for_a_product(client, word):
    for method in ("GET", "PUT", "DELETE"):
        answer = client.open(f"{API}/inventory/{word}", method=method, json={"minimum_stock_level": 1})
        assert (answer.json or {}).get("code") in {None, "not_found", "method_not_allowed", "invalid_query"}, (
            answer.text
        )
    assert_refused(client.post(f"{API}/inventory/", json={"product_id": word}), 422, "validation_failed")


@pytest.mark.parametrize("path", LISTS)
def test_a_page_is_written_in_digits_from_one(client, subtests, path):
    for page in ["", *BAD_PAGES.split()]:
        with subtests.test(page=page[:20]):
            problem = assert_refused(client.get(f"{API}{path}?page={page}"), 400, "invalid_query")
            assert list(problem["errors"]) == ["page"]


@pytest.mark.parametrize("path", LISTS)
def test_a_page_has_at_most_a_hundred_rows_and_is_never_silently_cut(client, subtests, path):
    for per_page in ("0", "101", "1000000", "1_0"):
        with subtests.test(per_page=per_page):
            problem = assert_refused(client.get(f"{API}{path}?per_page={per_page}"), 400, "invalid_query")
            assert list(problem["errors"]) == ["per_page"]


@pytest.mark.parametrize("path", LISTS)
def test_deep_pages_point_to_the_cursor(client, subtests, path):
    for query in ("page=501", "page=101&per_page=100", "page=10000000"):
        with subtests.test(query=query):
            assert "cursor" in assert_refused(client.get(f"{API}{path}?{query}"), 400, "page_too_deep")["detail"]


@pytest.mark.parametrize("path", BAD_QUERIES)
def test_a_query_that_is_not_as_documented_is_400(client, subtests, path):
    with nothing_changes():
        for query in BAD_QUERIES[path].split():
            with subtests.test(query=query[:60]):
                code = "invalid_cursor" if query.startswith("cursor=") and "&" not in query else "invalid_query"
                assert_refused(client.get(f"{API}{path}?{query}"), 400, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/reservations/"), ("POST", "/inventory/"), ("PUT", "/inventory/KB-1"), ("DELETE", "/locations/a")],
)
def test_writes_refuse_unknown_parameters_too(client, method, path):
    body = {"product_id": "KB-1", "quantity": 1, "order_id": "o-1", "customer_id": "c-1"}
    with nothing_changes():
        answer = client.open(f"{API}{path}?dry_run=true", method=method, json=body)
        assert assert_refused(answer, 400, "invalid_query")["errors"] == {"dry_run": ["Unknown parameter."]}


def test_a_cursor_works_only_unchanged_and_for_the_list_it_came_from(client):
    factories.hold(1)
    cursor = client.get(f"{API}/movements/?per_page=1").json["meta"]["next_cursor"]
    assert len(client.get(f"{API}/movements/?cursor={cursor}").json["data"]) == 1
    forged = cursor[:-5] + ("A" if cursor[-5] != "A" else "B") + cursor[-4:]
    for other in (f"/movements/?cursor={forged}", f"/movements/?location=default&cursor={cursor}"):
        assert_refused(client.get(API + other), 400, "invalid_cursor")
    for path in ("/inventory/", "/reservations/", "/locations/", "/inventory/KB-1/movements"):
        assert_refused(client.get(f"{API}{path}?cursor={cursor}"), 400, "invalid_cursor")


@pytest.mark.parametrize("path", ["/inventory/", "/inventory/search"])
def test_a_search_finds_the_characters_themselves(client, subtests, path):
    for words in ("%", "_", "%%", "_B-1", "K%1", "\\", "KB\\-1", "'", "B_1"):
        with subtests.test(words=words):
            assert client.get(API + path, query_string={"q": words}).json["data"] == []


@pytest.mark.parametrize("query", ["q=%ED%A0%80", "q=%E9", "q=%F0%9F%98%80"])
def test_text_from_the_far_end_of_unicode_finds_nothing_and_breaks_nothing(client, query):
    assert client.get(f"{API}/inventory/?{query}").json["data"] == []


@pytest.mark.parametrize("query", ["from=0001-01-01T00:00:00Z", "to=9999-12-31T23:59:59.999999Z"])
def test_the_far_ends_of_time_leave_nothing_out(client, query):
    assert len(client.get(f"{API}/movements/?{query}").json["data"]) == 1


def test_the_past_is_answered_with_its_own_moment(client, time):
    time.forward(hours=1)
    factories.hold(2)
    asked = (NOON + timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    data = client.get(f"{API}/inventory/KB-1?as_of={asked}").json["data"]
    assert (data["quantity"], data["available_quantity"], data["as_of"]) == (5, 5, "2030-01-01T12:30:00.000000Z")
    assert [place["sequence"] for place in data["locations"]] == [1]
