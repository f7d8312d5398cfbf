"""A real shop's orders through the running service: nothing is sold twice and every unit is accounted for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.e2e.replay_all import (
    BACKENDS,
    ORDERS,
    BackendMissing,
    Deployment,
    codes_that_can_be_short,
    embedded,
    run_flask,
)

ODDITIES = "online_retail_oddities.csv"
WHOLE_FILES = {
    "online_retail_returning_customers.csv": {"replayed": 2951, "codes": 1096, "closing_units": 155_667},
    "online_retail_5000.csv": {"replayed": 4957, "codes": 1675, "closing_units": 537},
}


@pytest.fixture(scope="module", params=list(BACKENDS))
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    try:
        with BACKENDS[request.param]() as running:
            yield running
    except BackendMissing as missing:
        pytest.skip(str(missing))


def test_every_oddity_of_a_year_leaves_exactly_the_stock_it_should(deployment: Deployment):
    report = deployment.replay(ODDITIES)
    assert (report["refusals"], report["mismatches"], report["exit_code"]) == ([], [], 0)
    assert report["lines_by_kind"] == {
        "sale": 114,
        "cancellation": 30,
        "adjustment": 66,
        "service": 155,
        "voucher": 34,
        "bad_debt": 3,
    }
    assert report["units"] == {
        "sale_out": 205_164,
        "cancellation_in": 164_973,
        "adjustment_in": 11_073,
        "adjustment_out": 51_944,
    }
    assert (report["replayed"], report["codes"], report["closing_units"]) == (210, 177, 176_043)
    assert deployment.audit().returncode == 0


def test_with_one_unit_less_of_each_code_exactly_the_computed_lines_are_refused(deployment: Deployment):
    report = deployment.replay(ODDITIES, short=codes_that_can_be_short(ODDITIES), clients=4)
    assert (report["mismatches"], report["wrongly_accepted"], report["exit_code"]) == ([], {}, 0)
    by_code = {refusal["code"]: refusal for refusal in report["refusals"]}
    assert len(report["refusals"]) == len(by_code) == 134
    assert all(refusal["expected"] for refusal in report["refusals"])
    assert all(refusal["problem"]["shortage"] == 1 for refusal in report["refusals"])
    largest_order = by_code["23843"]
    assert (largest_order["line"], largest_order["invoice"]) == (540422, "581483")
    assert largest_order["problem"]["requested"] == 80_995
    assert largest_order["problem"]["available_quantity"] == 80_994
    assert deployment.audit().returncode == 0


def test_a_replay_onto_stock_that_exists_is_refused_and_moves_nothing(deployment: Deployment):
    again = ["replay", str(ORDERS / ODDITIES), "--url", deployment.url, "--prefix", "again-", "--limit", "60"]
    assert run_flask(deployment.env, *again).returncode == 0
    item = f"{deployment.url}/api/v1/inventory/again-22139"
    key = {"X-API-Key": deployment.env["REPLAY_API_KEY"]} if "REPLAY_API_KEY" in deployment.env else {}
    before = requests.get(item, headers=key, timeout=5).json()["data"]
    second = run_flask(deployment.env, *again)
    assert (second.returncode, second.stdout) == (1, "")
    assert requests.get(item, headers=key, timeout=5).json()["data"] == before


@pytest.mark.parametrize("file", list(WHOLE_FILES))
def test_thousands_of_real_lines_leave_every_code_where_the_file_puts_it(file: str):
    with embedded() as deployment:
        report = deployment.replay(file, clients=4)
        assert (report["refusals"], report["mismatches"], report["exit_code"]) == ([], [], 0)
        assert {name: report[name] for name in WHOLE_FILES[file]} == WHOLE_FILES[file]
        assert deployment.audit().returncode == 0
