"""What is found among 1,033 real products, in which order and which categories, is what plain Python says of them."""

from __future__ import annotations

import gzip
import json
import random
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text

from app.extensions import db
from app.models.products import Product
from app.models.skus import Sku
from app.repositories import product_search
from app.utils import clock
from app.utils.paging import PageRequest
from config import ROOT
from tests import factories

STOP_WORDS = {
    "a", "about", "an", "are", "as", "at", "be", "by", "com", "de", "en", "for", "from", "how", "i", "in", "is", "it",
    "la", "of", "on", "or", "that", "the", "this", "to", "und", "was", "what", "when", "where", "who", "will", "with",
    "www",
}  # fmt: skip


@cache
def words(said: str) -> list[str]:
    """The words of a text in the Latin script."""
    bare = "".join(mark for mark in unicodedata.normalize("NFD", said) if not unicodedata.combining(mark))
    return re.findall("[a-z0-9]+", bare.lower())


@dataclass(frozen=True)
class Real:
    id: int
    name: str
    description: str
    code: str
    barcode: str
    category: str


def rank(product: Real, q: str) -> int | None:
    """None when `q` does not find it."""
    asked = q.strip()
    if asked == product.code or (len(asked) in (12, 13) and asked.zfill(13) == product.barcode.zfill(13)):
        return 0
    if asked and product.code.startswith((asked, asked.upper(), asked.lower())):
        return 1
    wanted = [word for word in words(q) if word not in STOP_WORDS] or words(q)
    name, everywhere = words(product.name), words(f"{product.name} {product.description}")
    if not wanted or not all(is_in(word, everywhere) for word in wanted):
        return None
    if all(word in name for word in wanted):
        return 2
    if all(is_in(word, name) for word in wanted):
        return 3
    return 4 if any(is_in(word, name) for word in wanted) else 5


def is_in(word: str, text: list[str]) -> bool:
    return word in text if len(word) == 1 else any(each.startswith(word) for each in text)


@dataclass
class Shop:
    products: list[Real]
    categories: dict[str, int]
    by_name: dict[int, int]  # the place of each product when the database sorts them by name

    def expected(self, q: str) -> list[int]:
        found = {product.id: rank(product, q) for product in self.products}
        ranked = [(fit, self.by_name[each], each) for each, fit in found.items() if fit is not None]
        return [each for _, _, each in sorted(ranked)]

    def facets(self, ids: list[int]) -> dict[int, int]:
        return Counter(self.categories[product.category] for product in self.products if product.id in set(ids))

    def judge(self, q: str) -> int:
        """How many `q` finds, once that is known to be right."""
        found, expected = product_search.page(q, PageRequest(per_page=2000)), self.expected(q)
        assert (q, list(found.rows)) == (q, expected)
        assert found.meta["total"] == len(expected)
        counts = {facet["category_id"]: facet["count"] for facet in found.meta["facets"]}
        every = self.facets(expected)
        assert sorted(counts.values()) == sorted(every.values())[-50:]
        assert counts.items() <= every.items()
        return len(expected)


@pytest.fixture
def shop(app) -> Shop:
    with gzip.open(ROOT / "database" / "catalogue" / "bestbuy_products.json.gz") as file:
        products = [
            Real(number, row["name"], row["description"], row["sku"], row["upc"], row["category_path"][-1])
            for number, row in enumerate(json.load(file), 1)
        ]
    categories = {name: factories.category(name) for name in sorted({product.category for product in products})}
    common = {"attributes": {}, "version": 1, "created_at": clock.now(), "updated_at": clock.now()}
    offer = common | {"price": Decimal(1), "currency": "USD", "unit": "each"}
    for product in products:
        said = {"name": product.name, "description": product.description}
        db.session.execute(
            insert(Product.__table__), common | said | {"id": product.id, "category_id": categories[product.category]}
        )
        numbers = {"sku_code": product.code, "barcode": product.barcode, "gtin": product.barcode.zfill(14)}
        db.session.execute(insert(Sku.__table__), offer | numbers | {"catalog_product_id": product.id})
    db.session.commit()
    if db.engine.dialect.name != "sqlite":
        # On the way from InnoDB's memory to its index such a lot of new words is in neither for some milliseconds.
        db.session.execute(text("OPTIMIZE TABLE product_search"))
    name, key = Product.__table__.c.name, Product.__table__.c.id
    by_name = db.session.execute(select(key).order_by(name, key)).scalars().all()
    db.session.commit()
    return Shop(products, categories, {each: place for place, each in enumerate(by_name)})


def from_the_shelf(products: list[Real], number: int) -> list[str]:
    """Queries of words that are there, some of them cut short, of codes and of barcodes; the same ones every time."""
    chosen, queries = random.Random(number), []
    for product in chosen.sample(products, number):
        said = words(f"{product.name} {product.description}")
        some = [word[: chosen.choice([1, 2, 3, 4, 99])] for word in chosen.sample(said, min(len(said), 1 + number % 3))]
        queries.append(chosen.choice([" ", "-", ", ", " & "]).join(some))
        queries.append(chosen.choice([product.name, product.name.upper(), " ".join(product.name.split()[:2])]))
        queries.append(product.code[: chosen.choice([2, 4, 9])])
        queries.append(product.barcode)
        number += 1
    return queries


OFTEN = [
    "tv", "4k", "hd", "usb-c", "wi-fi", "black", "with", "the", "for the", "a", "s", "men's", "xbox 360", "thé", "in",
    "iphone 6", "5.5", "duracell aaa", "pre-owned", "pok", "pokémon", "POKEMON", "co", "headphones black sony", "i",
    "und", "www", "com", "from what", "2m", "&", "®", "—", "9v", "3", "0", "samsung galaxy s5", "no such thing", "xbox",
]  # fmt: skip


def test_it_finds_what_python_finds_in_the_same_order_and_counts_the_same_categories(shop):
    queries = [*OFTEN, *from_the_shelf(shop.products, 40)]
    found = [shop.judge(q) for q in queries]
    assert len(queries) > 190
    assert sum(count > 0 for count in found) > 150, "the claim is about what is found"
    assert max(found) > 300
    pages = [product_search.page("black", PageRequest(page, per_page=20)).rows for page in range(1, 20)]
    assert [each for page in pages for each in page] == shop.expected("black")


OPERATORS = ['"', "*", "+", "-", "(", ")", "~", "<", ">", "@", ":", "^", "'", "%", "{", "}", "\\", "AND", "OR", "NEAR"]
WORDS = ["tv", "usb", "black", "sony", "Xbox", "é", "the", "4", "a", "o", "NAME", "rowid", "43900", "_", "batt"]
TYPED = st.lists(st.sampled_from([*OPERATORS, *WORDS, " ", " ", " "]), min_size=1, max_size=14).map("".join)
ANYTHING = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=100)
QUICK = settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


def test_no_text_is_a_query_of_its_own(shop):
    @QUICK
    @given(TYPED)
    @example('"tv" OR *')
    def operators_only_part_words(q: str) -> None:
        shop.judge(q)

    @QUICK
    @given(ANYTHING)
    @example("\u0301 \u0e33 \U0001f600")
    def whatever_it_is_there_is_an_answer(q: str) -> None:
        found = product_search.page(q, PageRequest(per_page=2000))
        assert found.meta["total"] == len(found.rows)

    operators_only_part_words()
    whatever_it_is_there_is_an_answer()


def test_the_index_follows_what_is_written_past_the_service(shop):
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE products SET name = 'Øl Straße' WHERE id = 1"))
        connection.execute(text("UPDATE products SET description = 'quaint' WHERE id = 2"))
        connection.execute(text("UPDATE products SET version = 2 WHERE id = 3"))
        connection.execute(text("DELETE FROM skus WHERE catalog_product_id = 4"))
        connection.execute(text("DELETE FROM products WHERE id = 4"))
    assert list(product_search.page("ol strasse", PageRequest()).rows) == [1]
    assert list(product_search.page("quaint", PageRequest()).rows) == [2]
    if db.engine.dialect.name == "sqlite":
        with db.engine.begin() as connection:  # raises when index and products disagree
            connection.execute(text("INSERT INTO product_search (product_search) VALUES ('integrity-check')"))
    else:
        with db.engine.connect() as connection:
            kept = connection.scalar(
                text("SELECT COUNT(*) FROM product_search JOIN products ON id = catalog_product_id")
            )
            assert kept == connection.scalar(text("SELECT COUNT(*) FROM product_search")) == len(shop.products) - 1
