"""The soak's own parts: a measuring instrument that flatters is worse than none."""

from __future__ import annotations

import threading
import time as real_time
from collections import Counter
from random import Random
from typing import Any

import pytest

from tests.chaos.calls import Attempt, Ending
from tests.soak import arrivals, report, rules, samples
from tests.soak.gauges import taken_by_others
from tests.soak.samples import Sample
from tests.soak.traffic import MIX
from tests.soak.wares import FAME, PRODUCTS, product_for, wish


def answered(due: float, latency: float, told: str = "200", outcome: str = "ok", kind: str = "list") -> Sample:
    return Sample("steady", kind, due, due + latency, outcome, (told,))


def figures(**changed: Any) -> dict[str, Any]:
    """Of a steady phase in which all was well."""
    good = {"5xx": 0, "no answer": 0, "unknown": 0, "served": 9, "calls": 9, "left out": 0, "junk accepted": 0}
    return good | {"p50 ms": 5.0, "p95 ms": 20.0, "p99 ms": 90.0, "sold out %": 25.0} | changed


# ── Arrivals ─────────────────────────────────────────────────────────────────────────────────────


def test_work_is_due_at_even_steps_from_the_start():
    assert [arrivals.due(turn, 4.0, 100.0) for turn in range(3)] == [100.0, 100.25, 100.5]


@pytest.mark.parametrize(("rate", "seconds", "expected"), [(150, 60, 9000), (0.5, 1, 1), (2.5, 2, 5)])
def test_so_many_pieces_arrive(rate, seconds, expected):
    assert arrivals.turns(rate, seconds) == expected


def test_each_piece_is_done_once():
    done: list[int] = []
    left_out = arrivals.by_the_clock(lambda number, due: done.append(number), rate=500, seconds=0.1, clients=8)
    assert (sorted(done), left_out) == ([*range(50)], 0)


def test_a_slow_answer_makes_those_behind_it_late():
    stuck, late = threading.Event(), list[float]()

    def work(number: int, due: float) -> None:
        if number == 0:
            stuck.wait(0.3)
        late.append(real_time.monotonic() - due)

    arrivals.by_the_clock(work, rate=50, seconds=0.2, clients=1)
    # The second was due 0.02 s after the first and could begin only 0.3 s later: it waited 0.28 s, not 0.
    assert len(late) == 10
    assert late[1] >= 0.27


def test_what_nobody_could_begin_in_time_is_counted_and_not_done():
    done: list[int] = []
    release = threading.Event()

    def work(number: int, due: float) -> None:
        done.append(number)
        release.wait(1.3)

    assert arrivals.by_the_clock(work, rate=20, seconds=0.1, clients=1) == 1
    assert done == [0]


def test_load_that_is_called_off_ends_at_once():
    over = threading.Event()
    done: list[int] = []

    def work(number: int, due: float) -> None:
        done.append(number)
        over.set()

    began = real_time.monotonic()
    arrivals.by_the_clock(work, rate=1, seconds=60, clients=1, over=over)
    assert done == [0]
    assert real_time.monotonic() - began < 5


def test_an_error_of_a_client_ends_the_run():
    def work(number: int, due: float) -> None:
        raise ValueError("broken client")

    with pytest.raises(ValueError, match="broken client"):
        arrivals.by_the_clock(work, rate=10, seconds=0.1, clients=2)


# ── Figures ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("hundredth", "expected"), [(50, 50), (95, 95), (99, 99), (99.9, 100), (100, 100), (1, 1)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(hundredth, expected):
    assert samples.percentile(range(1, 101), hundredth) == expected


def test_one_slow_answer_in_ten_is_seen_in_the_95th_percentile():
    assert samples.percentile([1.0] * 9 + [30.0], 95) == 30.0
    assert samples.percentile([1.0] * 9 + [30.0], 50) == 1.0


def test_nothing_has_no_latency():
    assert samples.percentile([], 99) == 0.0


def test_a_slope_is_told_by_the_hour():
    assert samples.slope_per_hour([(0, 100), (1800, 101), (3600, 102)]) == pytest.approx(2.0)
    assert samples.slope_per_hour([(0, 100)]) is None


def test_what_others_take_of_the_cores_is_what_we_do_not():
    before, after = (100.0, {"clients": 1.0, "service 1": 5.0}), (115.0, {"clients": 3.0, "service 1": 11.0})
    assert taken_by_others(before, after, 10.0) == 0.7


def test_what_others_take_is_not_known_when_a_process_of_ours_is_gone():
    assert taken_by_others((100.0, {"clients": 1.0, "service 1": 5.0}), (115.0, {"clients": 3.0}), 10.0) is None


def test_latency_counts_from_when_work_was_due():
    assert answered(10.0, 2.5).latency == 2.5


@pytest.mark.parametrize(
    ("told", "outcome", "served"),
    [
        ("201", "ok", True),
        ("409 insufficient_stock", "fail", True),
        ("422 invalid", "fail", True),
        ("429 rate_limited", "fail", False),
        ("503 database_busy", "fail", False),
        ("ReadTimeout", "unknown", False),
    ],
)
def test_who_is_refused_for_a_reason_is_served_and_who_is_turned_away_is_not(told, outcome, served):
    assert answered(0, 0.1, told, outcome).served is served


def test_work_of_several_calls_is_as_good_as_the_worst_of_them():
    fine, lost = Ending([Attempt("ok", "201")]), Ending([Attempt("lost", "ReadTimeout")])
    refused = Ending([Attempt("refused", "409 insufficient_stock")])
    assert samples.sample("steady", "order", 0, 1, [fine, lost, refused]).outcome == "unknown"
    assert samples.sample("steady", "order", 0, 1, [fine, refused]).outcome == "fail"
    assert samples.sample("steady", "order", 0, 1, [fine, refused]).told == ("201", "409 insufficient_stock")


def test_being_turned_away_without_a_word_when_to_come_back_is_counted():
    told = Attempt("unchanged", "503 database_busy", asked_to_wait=True)
    untold, fine = Attempt("unchanged", "503 database_busy"), Attempt("ok", "200")
    assert samples.sample("overload", "list", 0, 1, [Ending([told, untold, fine])]).without_wait == 1


def test_goodput_counts_what_was_served_in_each_second():
    some = [answered(0.0, 0.1), answered(0.0, 0.9), answered(0.0, 2.5), answered(0.0, 0.2, "503 x", "fail")]
    assert samples.per_second(some, 0.0) == [2, 0, 1]


def test_recovery_is_the_first_of_three_good_seconds():
    latency = {0: 3.0, 1: 0.1, 2: 0.9, 3: 0.1, 4: 0.2, 5: 0.1}
    some = [answered(second + part, took) for second, took in latency.items() for part in (0.1, 0.5)]
    assert samples.recovered_after(some, 0.0, limit=0.25) == 3.0


def test_there_is_no_recovery_while_anybody_is_turned_away():
    some = [answered(second + 0.1, 0.1, "503 database_busy", "fail") for second in range(6)]
    assert samples.recovered_after(some, 0.0, limit=0.25) is None


# ── Rules ────────────────────────────────────────────────────────────────────────────────────────


def test_a_phase_in_which_all_is_well_breaks_no_rule():
    assert rules.broken("steady", figures()) == []


@pytest.mark.parametrize(
    ("changed", "broken"),
    [
        ({"5xx": 1}, ["no 5xx"]),
        ({"unknown": 1, "served": 8}, ["every call is answered", "all is served"]),
        ({"p50 ms": 25.0}, ["p50 below 25 ms"]),
        ({"p99 ms": 250.0}, ["p99 below 250 ms"]),
        ({"sold out %": 19.9}, ["at least 20 % of reserves hit sold out"]),
        ({"junk accepted": 1}, ["all junk is refused with 4xx"]),
        ({"left out": 1}, ["nothing is left out"]),
    ],
)
def test_each_rule_is_broken_by_what_it_is_about(changed, broken):
    assert rules.broken("steady", figures(**changed)) == broken


@pytest.mark.parametrize("taken", [[100, 100, 101], [100, 99, 100]])
def test_a_flash_sale_of_another_number_than_there_was_is_broken(taken):
    sale = figures(**{"units taken": taken, "units told": taken})
    assert rules.broken("flash sale", sale) == ["exactly 100 units are taken in each sale"]


def test_a_buyer_who_was_told_of_units_that_nobody_holds_breaks_the_sale():
    sale = figures(**{"units taken": [100], "units told": [101]})
    assert rules.broken("flash sale", sale) == ["who is told of success holds the units"]


def test_never_having_recovered_is_not_to_have_recovered_in_time():
    one = {"other 5xx": 0, "without Retry-After": 0, "goodput %": 95.0, "recovery s": None}
    assert rules.broken("overload", one) == ["recovered in 10 s"]
    assert rules.broken("overload", one | {"recovery s": 2.0}) == []


def test_one_effect_too_many_breaks_the_double_submit():
    one = {"5xx": 0, "granted keys": 7, "kept keys": 7, "effects": 7, "granted twice": 6, "replays": 6}
    one |= {"contradictions": 0}
    assert rules.broken("double submit", one) == []
    assert rules.broken("double submit", one | {"effects": 8}) == ["effects are as many as distinct keys"]
    assert rules.broken("double submit", one | {"replays": 5}) == ["one answer of two is flagged as replayed"]


def test_a_hoarder_whom_nobody_stops_breaks_the_rules():
    one = {"budget units": 40, "units held at most": 40, "hoarder refused": 3, "5xx": 0}
    one |= {"others granted": 5, "others held back": 0}
    assert rules.broken("hoarder", one) == []
    assert rules.broken("hoarder", one | {"units held at most": 41}) == ["the budget caps the hoarder"]
    assert rules.broken("hoarder", one | {"others held back": 1}) == ["others keep buying"]


# ── What is wanted ───────────────────────────────────────────────────────────────────────────────


def test_the_mix_is_a_hundred_and_six_in_ten_only_read():
    assert sum(MIX.values()) == 100
    assert MIX["availability"] + MIX["list"] + MIX["ledger"] == 60


def test_the_most_wanted_product_is_wanted_twice_as_often_as_the_second_and_a_bit():
    wanted = Counter(product_for(Random(number)) for number in range(20_000))
    assert len(PRODUCTS) == len(FAME) == 1000
    assert wanted["HOT-1"] / wanted["HOT-2"] == pytest.approx(2**1.1, rel=0.1)


def test_the_same_seed_wishes_the_same():
    assert wish(Random("7-steady-1"), "key", 60) == wish(Random("7-steady-1"), "key", 60)
    assert wish(Random("7-steady-1"), "key", 60) != wish(Random("8-steady-1"), "key", 60)


# ── The sentence ─────────────────────────────────────────────────────────────────────────────────


def test_the_sentence_says_what_was_measured_and_how_to_do_it_again():
    checked = {"unknown": {"applied": 1, "not applied": 2}, "unknown and looked up": 3, "by outcome": {"ok": 4000}}
    checked |= {"lost": 0, "twice": 0, "oversold": 0}
    found = {
        "requests": 12345, "minutes": 6.0, "target per second": 150.0, "cores": 2, "backend": "server", "seed": 7,
        "commit": "abc1234", "checker": {"figures": checked},
        "phases": {"faults": {"faults": 9, "kinds": 8, "slowest recovery s": 2.04}},
    }  # fmt: skip
    assert report.sentence(found) == (
        "12,345 requests over 6 minutes at 150 calls/s on 2 cores (server); 9 faults of 8 kinds injected (seed 7,"
        " commit abc1234); 4,000 acknowledged writes: 0 lost, 0 applied twice, 0 units oversold; 3 outcomes unknown to"
        " the client, all resolved by looking them up; slowest recovery 2.0 s; reproduce with"
        ' `make soak ARGS="--backend server --minutes 6 --seed 7"`.'
    )
    checked["unknown and looked up"] = 2
    assert "NOT all resolved" in report.sentence(found)
