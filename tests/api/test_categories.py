"""The category tree over HTTP: grown, renamed, moved whole, closed and opened again."""

import pytest

from app.extensions import cache
from app.services import categories
from app.services.catalogue import CATALOGUE
from app.utils.cache import EVERYTHING
from tests import factories
from tests.statements import counted

URL = "/api/v1/categories/"


@pytest.fixture
def new(client):
    def add(name, parent=None, **more):
        answer = client.post(URL, json={"name": name, "parent_id": parent, **more})
        assert answer.status_code == 201, answer.text
        return answer.json["data"]["id"]

    return add


@pytest.fixture
def shop(new):
    """Home above Audio and Video, Audio above Headphones."""
    home = new("Home")
    audio = new("Audio", home)
    return {"home": home, "audio": audio, "video": new("Video", home), "phones": new("Headphones", audio)}


def show(client, category_id):
    answer = client.get(f"{URL}{category_id}")
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def change(client, category_id, **values):
    return client.put(f"{URL}{category_id}", json={"version": show(client, category_id)["version"], **values})


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json["data"]]


def test_a_category_is_created_below_its_parent_and_says_where_it_hangs(client, shop):
    answer = client.post(URL, json={"name": "  In-ear ", "parent_id": shop["phones"], "attributes": {"icon": "ear"}})
    made = answer.json["data"]
    path = f"/{shop['home']}/{shop['audio']}/{shop['phones']}/{made['id']}/"
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{URL}{made['id']}")
    assert (made["name"], made["path"], made["depth"], made["version"]) == ("In-ear", path, 4, 1)
    assert [crumb["name"] for crumb in made["breadcrumbs"]] == ["Home", "Audio", "Headphones", "In-ear"]
    assert (made["attributes"], answer.headers["ETag"]) == ({"icon": "ear"}, '"1"')


@pytest.mark.parametrize("name", ["audio", "AUDIO", " Audio "])
def test_a_name_is_unique_among_siblings_whatever_its_case(client, shop, name):
    refused = client.post(URL, json={"name": name, "parent_id": shop["home"]})
    assert (refused.status_code, refused.json["code"]) == (409, "already_exists")
    assert client.post(URL, json={"name": name, "parent_id": shop["video"]}).status_code == 201
    assert client.post(URL, json={"name": name}).status_code == 201


def test_the_top_level_has_unique_names_too(client, shop):
    assert client.post(URL, json={"name": "home"}).status_code == 409


def test_below_what_is_not_there_nothing_is_created(client, shop):
    refused = client.post(URL, json={"name": "x", "parent_id": 999})
    assert (refused.status_code, refused.json["code"]) == (422, "unknown_category")
    assert "parent_id" in refused.json["errors"]


def test_a_rename_rewrites_no_path(client, shop):
    before = show(client, shop["phones"])
    renamed = change(client, shop["audio"], name="Sound")
    assert (renamed.status_code, renamed.json["data"]["version"]) == (200, 2)
    after = show(client, shop["phones"])
    assert (after["path"], after["version"]) == (before["path"], before["version"])
    assert [crumb["name"] for crumb in after["breadcrumbs"]] == ["Home", "Sound", "Headphones"]


def test_a_change_of_the_case_of_a_name_is_no_duplicate_of_itself(client, shop):
    assert change(client, shop["audio"], name="AUDIO").status_code == 200


class TestMoving:
    def test_a_category_moves_with_all_below_it(self, client, shop):
        moved = client.post(f"{URL}{shop['audio']}/move", json={"parent_id": shop["video"], "version": 1})
        assert (moved.status_code, moved.json["data"]["version"]) == (200, 2)
        below = show(client, shop["phones"])
        assert below["path"] == f"/{shop['home']}/{shop['video']}/{shop['audio']}/{shop['phones']}/"
        assert (below["depth"], below["version"], below["parent_id"]) == (4, 1, shop["audio"])

    def test_it_moves_to_the_top(self, client, shop):
        assert change(client, shop["audio"], parent_id=None).status_code == 200
        assert (show(client, shop["audio"])["depth"], show(client, shop["phones"])["depth"]) == (1, 2)
        assert show(client, shop["phones"])["path"] == f"/{shop['audio']}/{shop['phones']}/"

    @pytest.mark.parametrize("below", ["audio", "phones"])
    def test_it_cannot_move_below_itself(self, client, shop, below):
        refused = change(client, shop["audio"], parent_id=shop[below])
        assert (refused.status_code, refused.json["code"]) == (409, "category_circle")
        assert show(client, shop["audio"])["path"] == f"/{shop['home']}/{shop['audio']}/"

    def test_a_name_that_is_taken_there_keeps_it_where_it_is(self, client, shop, new):
        new("AUDIO", shop["video"])
        refused = change(client, shop["audio"], parent_id=shop["video"])
        assert (refused.status_code, refused.json["code"]) == (409, "already_exists")
        assert show(client, shop["phones"])["path"].startswith(f"/{shop['home']}/{shop['audio']}/")

    def test_what_is_deleted_below_moves_along(self, client, shop):
        client.delete(f"{URL}{shop['phones']}")
        change(client, shop["audio"], parent_id=None)
        assert show(client, shop["phones"])["path"] == f"/{shop['audio']}/{shop['phones']}/"

    def test_the_tree_has_a_bottom(self, client, new):
        below = None
        for level in range(20):
            below = new(f"level {level}", below)
        refused = client.post(URL, json={"name": "too deep", "parent_id": below})
        assert (refused.status_code, refused.json["code"], refused.json["maximum_depth"]) == (
            409,
            "category_too_deep",
            20,
        )
        pair = new("above")
        new("below", pair)
        parent = show(client, below)["parent_id"]
        assert change(client, pair, parent_id=parent).json["code"] == "category_too_deep"


class TestVersions:
    def test_a_change_names_the_version_it_was_decided_on(self, client, shop):
        url = f"{URL}{shop['audio']}"
        missing = client.put(url, json={"name": "x"})
        stale = client.put(url, json={"name": "x", "version": 7})
        stale_header = client.put(url, json={"name": "x"}, headers={"If-Match": '"7"'})
        assert [answer.status_code for answer in (missing, stale, stale_header)] == [428, 409, 412]
        assert stale.json["version"] == 1
        assert client.put(url, json={"name": "Sound"}, headers={"If-Match": '"1"'}).json["data"]["version"] == 2
        assert client.post(f"{url}/move", json={"parent_id": None}).status_code == 428

    def test_a_change_that_changes_nothing_keeps_the_version(self, client, shop):
        same = client.put(f"{URL}{shop['audio']}", json={"name": " Audio ", "parent_id": shop["home"], "version": 1})
        assert (same.status_code, same.json["data"]["version"]) == (200, 1)

    def test_restoring_minds_a_version_only_when_one_is_sent(self, client, shop):
        url = f"{URL}{shop['video']}"
        client.delete(url)
        assert client.post(f"{url}/restore", headers={"If-Match": '"7"'}).status_code == 412
        assert client.post(f"{url}/restore").json["data"]["archived_at"] is None

    def test_deleting_minds_a_version_only_when_one_is_sent(self, client, shop):
        url = f"{URL}{shop['audio']}"
        assert client.delete(url, headers={"If-Match": '"7"'}).status_code == 412
        assert client.delete(url).status_code == 200


class TestDeleting:
    def test_what_is_below_goes_with_it_and_comes_back_with_it(self, client, shop):
        client.delete(f"{URL}{shop['phones']}")
        client.post(f"{URL}{shop['phones']}/restore")
        gone = client.delete(f"{URL}{shop['audio']}")
        assert gone.json["data"]["archived_at"] is not None
        assert show(client, shop["phones"])["archived_at"] == gone.json["data"]["archived_at"]
        assert ids(client.get(URL)) == [shop["home"], shop["video"]]
        assert client.post(f"{URL}{shop['audio']}/restore").json["data"]["archived_at"] is None
        assert show(client, shop["phones"])["archived_at"] is None

    def test_what_was_deleted_before_stays_deleted(self, client, shop, time):
        client.delete(f"{URL}{shop['phones']}")
        time.forward(seconds=1)
        client.delete(f"{URL}{shop['audio']}")
        client.post(f"{URL}{shop['audio']}/restore")
        assert show(client, shop["phones"])["archived_at"] is not None

    def test_the_name_of_a_deleted_one_is_free_until_it_comes_back(self, client, shop, new):
        client.delete(f"{URL}{shop['audio']}")
        new("Audio", shop["home"])
        refused = client.post(f"{URL}{shop['audio']}/restore")
        assert (refused.status_code, refused.json["code"]) == (409, "already_exists")
        assert show(client, shop["phones"])["archived_at"] is not None

    def test_below_a_deleted_parent_nothing_is_restored(self, client, shop, time):
        client.delete(f"{URL}{shop['phones']}")
        time.forward(seconds=1)
        client.delete(f"{URL}{shop['audio']}")
        refused = client.post(f"{URL}{shop['phones']}/restore")
        assert (refused.status_code, refused.json["code"]) == (409, "parent_deleted")

    def test_a_deleted_one_is_neither_changed_nor_deleted_nor_built_upon(self, client, shop):
        url = f"{URL}{shop['audio']}"
        client.delete(url)
        answers = [
            client.delete(url),
            client.put(url, json={"name": "x", "version": 2}),
            client.post(f"{url}/move", json={"parent_id": None, "version": 2}),
        ]
        assert [(answer.status_code, answer.json["deleted"]) for answer in answers] == [(404, True)] * 3
        assert client.post(URL, json={"name": "x", "parent_id": shop["audio"]}).status_code == 422
        assert change(client, shop["video"], parent_id=shop["audio"]).status_code == 422

    def test_with_force_it_is_gone_for_good(self, client, shop):
        gone = client.delete(f"{URL}{shop['phones']}?force=true")
        assert (gone.status_code, gone.json["data"]["name"]) == (200, "Headphones")
        assert [crumb["name"] for crumb in gone.json["data"]["breadcrumbs"]] == ["Home", "Audio", "Headphones"]
        assert client.get(f"{URL}{shop['phones']}").status_code == 404

    @pytest.mark.parametrize("deleted_before", [True, False])
    def test_force_does_not_take_what_something_hangs_on(self, client, shop, deleted_before):
        if deleted_before:
            client.delete(f"{URL}{shop['audio']}")
        refused = client.delete(f"{URL}{shop['audio']}?force=true")
        assert (refused.status_code, refused.json["code"]) == (409, "category_in_use")
        assert (refused.json["children"], refused.json["products"]) == (1, 0)
        assert show(client, shop["audio"])["id"] == shop["audio"]


class TestReading:
    def test_children_are_listed_by_parent(self, client, shop):
        assert ids(client.get(f"{URL}?parent_id=root")) == [shop["home"]]
        assert ids(client.get(f"{URL}?parent_id={shop['home']}")) == [shop["audio"], shop["video"]]
        assert ids(client.get(URL)) == [shop["home"], shop["audio"], shop["video"], shop["phones"]]

    def test_deleted_ones_are_listed_when_asked_for(self, client, shop):
        client.delete(f"{URL}{shop['video']}")
        url = f"{URL}?parent_id={shop['home']}"
        assert ids(client.get(url)) == [shop["audio"]]
        assert ids(client.get(f"{url}&include_deleted=true")) == [shop["audio"], shop["video"]]

    def test_lists_are_paged(self, client, shop):
        first = client.get(f"{URL}?per_page=3")
        assert (first.json["meta"]["total"], first.json["meta"]["pages"]) == (4, 2)
        rest = client.get(f"{URL}?per_page=3&cursor={first.json['meta']['next_cursor']}")
        assert ids(rest) == [shop["phones"]]

    def test_the_subtree_begins_with_the_category_itself_and_has_parents_first(self, client, shop, new):
        new("Aardvarks", shop["video"])
        listed = ids(client.get(f"{URL}{shop['audio']}/subtree"))
        assert listed == [shop["audio"], shop["phones"]]
        whole = client.get(f"{URL}{shop['home']}/subtree").json["data"]
        assert [row["depth"] for row in whole] == [1, 2, 2, 3, 3]

    def test_a_sibling_whose_id_begins_alike_is_not_in_the_subtree(self, client, new):
        top = [new(f"c{number}") for number in range(12)]
        assert top[10] > 9, "one id is a prefix of another"
        for each in top:
            assert ids(client.get(f"{URL}{each}/subtree")) == [each]

    def test_the_tree_is_nested_and_sees_every_change(self, client, shop):
        def names(nodes):
            return [(node["name"], names(node["children"])) for node in nodes]

        assert names(client.get(f"{URL}tree").json["data"]) == [
            ("Home", [("Audio", [("Headphones", [])]), ("Video", [])])
        ]
        change(client, shop["phones"], parent_id=None)
        assert names(client.get(f"{URL}tree").json["data"]) == [
            ("Headphones", []),
            ("Home", [("Audio", []), ("Video", [])]),
        ]

    def test_breadcrumbs_lead_from_the_top(self, client, shop):
        crumbs = client.get(f"{URL}{shop['phones']}/breadcrumbs").json["data"]
        assert crumbs == [
            {"id": shop["home"], "name": "Home"},
            {"id": shop["audio"], "name": "Audio"},
            {"id": shop["phones"], "name": "Headphones"},
        ]

    @pytest.mark.parametrize("path", ["999", "999/subtree", "999/breadcrumbs"])
    def test_what_is_not_there_is_not_found(self, client, path):
        answer = client.get(f"{URL}{path}")
        assert (answer.status_code, answer.json["code"]) == (404, "category_not_found")

    @pytest.mark.parametrize("parent", ["0", "-1", "top", "1.0", "", "²"])
    def test_a_parent_is_an_id_or_root(self, client, parent):
        assert client.get(URL, query_string={"parent_id": parent}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 201},
        {"name": 5},
        {"name": "x", "parent_id": "1"},
        {"name": "x", "parent_id": 0},
        {"name": "x", "parent_id": 1.5},
        {"name": "x", "attributes": []},
        {"name": "x", "path": "/1/"},
        {"name": "x", "external_id": "a b"},
        {"name": "nul\x00"},
    ],
)
def test_what_is_no_category_is_refused_and_makes_none(client, body):
    answer = client.post(URL, json=body)
    assert (answer.status_code, set(answer.json) >= {"code", "errors"}) == (422, True)
    assert ids(client.get(URL)) == []


def test_an_external_id_belongs_to_one_category(client, shop, new):
    new("Imported", external_id="abcat0010000")
    refused = client.post(URL, json={"name": "Again", "external_id": "abcat0010000"})
    assert (refused.status_code, refused.json["code"]) == (409, "already_exists")


@pytest.mark.parametrize("path", ["", "?parent_id=root", "tree", "{top}/subtree", "{top}/breadcrumbs"])
def test_a_list_takes_as_many_statements_for_a_thousand_categories_as_for_ten(client, path):
    """Those it lists, not what it takes to know the caller or the time."""
    top = factories.category("top")

    def asked() -> int:
        cache().forget({CATALOGUE, EVERYTHING})
        with counted() as statements:
            assert client.get(f"{URL}{path.format(top=top)}").status_code == 200
        return len(statements)

    for number in range(10):
        factories.category(f"c{number}", top)
    few = asked()
    rows = [{"name": f"d{number}", "parent_id": top if number % 2 else None} for number in range(990)]
    categories.create_many(rows)
    assert asked() == few
