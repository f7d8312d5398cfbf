"""Where an import hangs each category, and that deciding again decides the same."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models import category_forest, category_plans
from app.models.category_actions import Aside, Change, Keep, Make, Refuse, Stored, slot_of
from app.models.imported import CategoryRow, LinkRow, Origin, ProductRow, Step

HERE = Origin("file", "row")


def row(line, *, name=None, children=(), attributes=None):
    """The category at the end of `line`, ids with `/` between them, each called as its id in capitals."""
    path = tuple(Step(each, each.upper()) for each in line.split("/"))
    steps = tuple(Step(child, child.upper()) for child in children)
    last = line.split("/")[-1]
    path = (*path[:-1], Step(last, name or last.upper()))
    return CategoryRow(
        origin=HERE, external_id=last, name=path[-1].name, path=path, children=steps, attributes=attributes or {}
    )


def product(*path):
    return ProductRow(origin=HERE, code="P", path=tuple(Step(*step) for step in path))


def planned(rows=(), links=(), products=(), stored=()):
    forest = category_forest.grown(list(rows), [LinkRow(HERE, *link) for link in links], products)
    return forest, category_plans.planned(forest, stored)


def done(plan, stored=()):
    """What is stored once the plan was followed; no two siblings ever have one name meanwhile."""
    rows = {each.id: each for each in stored}
    made: dict[object, int] = {}

    def find(ref):
        return ref if isinstance(ref, int) or ref is None else made[ref]

    for action in plan.actions:
        match action:
            case Make(node, name, parent):
                made[node.key] = new = len(rows) + 1
                rows[new] = Stored(new, find(parent), name, node.external_id, False, 1, node.attributes)
            case Aside(_, before, name):
                assert rows[before.id] == before
                rows[before.id] = replace(before, name=name, version=before.version + 1)
            case Change(node, before, values, parent):
                assert rows[before.id] == before
                above = find(parent[0]) if parent else before.parent_id
                rows[before.id] = replace(before, parent_id=above, version=before.version + 1, **values)
        slots = [slot_of(each) for each in rows.values() if not each.deleted]
        assert len(set(slots)) == len(slots)
    return list(rows.values())


def lines(stored):
    """Each category as the names from the top down to it."""
    rows = {each.id: each for each in stored}

    def line(each):
        return [*(line(rows[each.parent_id]) if each.parent_id else []), each.name]

    return sorted("/".join(line(each)) for each in stored if not each.deleted)


def remarks(*plans):
    return [(remark.kind, remark.id) for plan in plans for remark in plan.remarks]


def test_its_own_path_places_a_category_that_hangs_below_several():
    forest, plan = planned([row("a", children=["c"]), row("b", children=["c"]), row("b/c")])
    assert lines(done(plan)) == ["A", "B", "B/C"]
    assert remarks(forest, plan) == [("several_parents", "c")]


def test_without_a_path_it_hangs_below_the_first_parent_that_is_linked():
    forest, plan = planned([row("a", children=["c"]), row("b", children=["c"])], [("b", "c"), ("a", "c")])
    assert lines(done(plan)) == ["A", "B", "B/C"]
    assert remarks(forest, plan) == [("several_parents", "c"), ("only_mentioned", "c")]


def test_the_path_of_a_product_goes_before_links():
    _, plan = planned(
        [row("a", children=["c"]), row("b", children=["c"])], [("a", "c")], [product(("b", "B"), ("c", "C"))]
    )
    assert lines(done(plan)) == ["A", "B", "B/C"]


def test_what_a_path_leads_through_and_no_row_describes_is_made():
    _, plan = planned([row("a/b/c")])
    assert lines(done(plan)) == ["A", "A/B", "A/B/C"]
    assert remarks(plan) == [("only_mentioned", "a"), ("only_mentioned", "b")]


def test_what_only_a_product_names_is_made_where_its_path_says():
    _, plan = planned([row("a")], products=[product(("a", "A"), ("x", "Only here"))])
    assert lines(done(plan)) == ["A", "A/Only here"]
    assert remarks(plan) == [("unknown_category", "x")]


def test_the_second_of_two_siblings_with_one_name_gets_its_id_and_keeps_it():
    rows = [row("a/c", name="Zune"), row("a/b", name="ZUNE"), row("a")]
    _, plan = planned(rows)
    stored = done(plan)
    assert lines(stored) == ["A", "A/ZUNE", "A/Zune (c)"]
    assert remarks(plan) == [("same_name", "c")]
    _, again = planned(reversed(rows), stored=stored)
    assert {type(action) for action in again.actions} == {Keep}


def test_a_name_that_was_there_first_stays_when_its_double_comes_later():
    stored = done(planned([row("c", name="Zune")])[1])
    _, plan = planned([row("b", name="Zune"), row("c", name="Zune")], stored=stored)
    assert lines(done(plan, stored)) == ["Zune", "Zune (b)"]


def test_a_nameless_category_is_named_after_its_id_and_a_name_given_later_stays():
    nameless = CategoryRow(origin=HERE, external_id="b", name=None, path=(Step("b", None),))
    _, plan = planned([nameless])
    assert lines(done(plan)) == ["b"]
    _, again = planned([nameless], stored=[Stored(1, None, "Named by hand", "b", False, 3)])
    assert again.actions == [Keep(again.actions[0].node, 1)]


def test_another_name_or_place_is_one_change_and_children_are_left_alone():
    stored = done(planned([row("a"), row("b"), row("a/c"), row("a/c/d")])[1])
    _, plan = planned([row("a"), row("b"), row("b/c", name="New")], stored=stored)
    [change] = [action for action in plan.actions if isinstance(action, Change)]
    assert (change.stored.external_id, change.values, change.parent) == ("c", {"name": "New"}, (2,))
    assert lines(done(plan, stored)) == ["A", "B", "B/New", "B/New/D"]


def test_a_mention_moves_and_renames_nothing_that_is_there():
    stored = done(planned([row("a"), row("b"), row("a/c")])[1])
    _, plan = planned([row("b", children=["c"])], products=[product(("b", "B"), ("c", "Other"))], stored=stored)
    assert {type(action) for action in plan.actions} == {Keep}


def test_a_category_made_from_names_is_recognised_and_given_its_id():
    stored = done(planned(products=[product((None, "Audio"), (None, "Tapes"))])[1])
    assert [each.external_id for each in stored] == [None, None]
    _, plan = planned([row("a", name="AUDIO")], products=[product(("a", "AUDIO"), ("t", "Tapes"))], stored=stored)
    assert [(action.stored.id, action.values) for action in plan.actions] == [
        (1, {"external_id": "a", "name": "AUDIO"}),
        (2, {"external_id": "t"}),
    ]
    assert remarks(plan) == [("adopted", "a"), ("adopted", "t")]


def test_names_alone_mean_the_category_that_is_called_so_with_or_without_an_id():
    stored = done(planned([row("a"), row("a/b")])[1])
    _, plan = planned(products=[product((None, "a"), (None, "B"))], stored=stored)
    assert [(action.node.external_id, action.ref) for action in plan.actions] == [(None, 1), (None, 2)]


def test_a_deleted_category_is_refused_with_all_below_it():
    stored = [Stored(1, None, "A", "a", True, 2)]
    _, plan = planned([row("a"), row("a/b")], stored=stored)
    assert [action.reason for action in plan.actions if isinstance(action, Refuse)] == [
        "category 1 is deleted; restore it first",
        "what it hangs below was refused",
    ]


def test_a_circle_of_parents_is_refused_and_the_rest_is_planned():
    forest, plan = planned([row("a"), row("b/c"), row("c/b")])
    assert lines(done(plan)) == ["A"]
    assert sorted((bad.id, bad.reason) for bad in forest.bad) == [
        ("b", "it hangs below itself: its parents go in a circle"),
        ("c", "it hangs below itself: its parents go in a circle"),
    ]


def test_a_link_to_what_nobody_names_is_refused():
    forest, _ = planned([row("a")], [("a", "ghost")])
    assert [(bad.id, bad.reason) for bad in forest.bad] == [("ghost", "no file says what this category is called")]


# ── Names that change hands ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("before", "after", "asides"),
    [
        ({"a": "One", "b": "Two"}, {"a": "Two", "b": "One"}, 1),
        ({"a": "One", "b": "Two"}, {"a": "Two", "b": "Three"}, 1),
        ({"a": "One", "b": "Two"}, {"a": "Three", "b": "One"}, 0),
        ({"a": "One", "b": "Two", "c": "Three"}, {"a": "Two", "b": "Three", "c": "One"}, 2),
        ({"a": "One", "b": "One (b)"}, {"a": "Two", "b": "One"}, 0),
        ({"a": "One", "b": "Two (b)", "c": "Two"}, {"a": "Two", "b": "Three", "c": "One"}, 1),
    ],
)
def test_a_name_that_one_category_leaves_another_takes_in_the_same_import(before, after, asides):
    stored = done(planned([row(key, name=name) for key, name in before.items()])[1])
    rows = [row(key, name=name) for key, name in after.items()]
    _, plan = planned(rows, stored=stored)
    stored = done(plan, stored)
    assert {each.external_id: each.name for each in stored} == after
    assert len([action for action in plan.actions if isinstance(action, Aside)]) == asides
    assert remarks(plan) == []
    assert {type(action) for action in planned(rows, stored=stored)[1].actions} == {Keep}


def test_a_name_is_free_too_when_its_holder_goes_elsewhere():
    stored = done(planned([row("z"), row("a", name="One"), row("b", name="Two")])[1])
    rows = [row("z"), row("a", name="Two"), row("z/b", name="Two")]
    _, plan = planned(rows, stored=stored)
    assert lines(done(plan, stored)) == ["Two", "Z", "Z/Two"]


def test_a_new_category_takes_a_name_that_another_one_leaves():
    stored = done(planned([row("b", name="One")])[1])
    _, plan = planned([row("a", name="One"), row("b", name="Two")], stored=stored)
    assert [(each.external_id, each.name) for each in done(plan, stored)] == [("b", "Two"), ("a", "One")]


def test_a_name_stays_taken_when_its_holder_cannot_leave():
    stored = [
        Stored(1, None, "One", "a", False, 1),
        Stored(2, None, "Two", "b", False, 1),
        Stored(3, None, "Three", None, False, 1),
        Stored(4, None, "Three (b)", "x", False, 1),
    ]
    rows = [row("a", name="Two"), row("b", name="Three")]
    _, plan = planned(rows, stored=stored)
    assert [action.reason for action in plan.actions if isinstance(action, Refuse)] == [
        "two categories have the name 'Three' there"
    ]
    stored = done(plan, stored)
    assert lines(stored) == ["Three", "Three (b)", "Two", "Two (a)"]
    assert {type(action) for action in planned(rows, stored=stored)[1].actions} == {Keep, Refuse}


# ── Attributes ───────────────────────────────────────────────────────────────────────────────────


def test_attributes_are_added_to_and_compared_as_json_is_written():
    stored = done(planned([row("a", attributes={"icon": "x", "n": 1})])[1])
    assert stored[0].attributes == {"icon": "x", "n": 1}
    for said, written in (({"n": 1}, {}), ({}, {}), ({"n": 1.0}, {"attributes": {"icon": "x", "n": 1.0}})):
        [action] = planned([row("a", attributes=said)], stored=stored)[1].actions
        assert getattr(action, "values", {}) == written


def test_a_row_without_an_id_may_not_contradict_the_row_of_the_same_category():
    bare = CategoryRow(origin=HERE, external_id=None, name="A", path=(Step(None, "A"),), attributes={"n": 2})
    stored = done(planned([row("a", attributes={"n": 1})])[1])
    _, alone = planned([bare], stored=stored)
    assert [action.values for action in alone.actions] == [{"attributes": {"n": 2}}]
    for there in (stored[:0], stored):
        _, both = planned([row("a", attributes={"n": 1}), bare], stored=there)
        assert [action.reason for action in both.actions if isinstance(action, Refuse)] == [
            "another row says other attributes of the same category"
        ]


NAMES = st.sampled_from(["x", "X", "y", "x (b)"])
IDS = st.sampled_from("abcdef")


@st.composite
def trees(draw):
    """Rows of categories with all that can be wrong about a tree."""
    parents = {each: draw(st.none() | IDS) for each in draw(st.sets(IDS, min_size=1))}
    names = {each: draw(st.none() | NAMES) for each in "abcdef"}
    rows = []
    for each in parents:
        line, above = [each], parents[each]
        while above is not None and above not in line:
            line.insert(0, above)
            above = parents.get(above)
        path = tuple(Step(key, names[key]) for key in line) if draw(st.booleans()) else ()
        children = tuple(Step(key, names[key]) for key in draw(st.sets(IDS, max_size=2)) - {each})
        rows.append(CategoryRow(origin=HERE, external_id=each, name=names[each], path=path, children=children))
    return rows


@given(st.lists(trees(), min_size=1, max_size=3))
def test_after_any_imports_names_are_unique_and_importing_the_last_again_changes_nothing(imports):
    stored: list[Stored] = []
    for rows in imports:
        _, plan = planned(rows, stored=stored)
        stored = done(plan, stored)
    _, again = planned(imports[-1], stored=stored)
    assert {type(action) for action in again.actions} <= {Keep, Refuse}


@given(trees())
def test_importing_the_same_tree_again_changes_nothing_and_nothing_is_dropped(rows):
    forest, plan = planned(rows)
    stored = done(plan)
    _, again = planned(rows, stored=stored)
    assert {type(action) for action in again.actions} <= {Keep, Refuse}
    told = {bad.id for bad in forest.bad} | {action.node.key for action in plan.actions if isinstance(action, Refuse)}
    assert {each.external_id for each in rows} == ({each.external_id for each in stored} | told) & {
        each.external_id for each in rows
    }
