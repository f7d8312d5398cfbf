"""Products: made with their SKUs in one go, changed, taken off sale whole and brought back whole."""

from __future__ import annotations

from typing import Any

from app.errors import Invalid, LostRace, ParentDeleted, UnknownCategory
from app.models.products import Product
from app.repositories import categories, products
from app.repositories import skus as sku_rows
from app.services import catalogue, skus
from app.services.versions import require_current
from app.utils import clock
from app.utils.transactions import transactional


@transactional
def create(values: dict[str, Any]) -> Product:
    """`name`, and `description`, `category_id`, `attributes`, `skus` where given: all of it or nothing.

    Each of `skus` is what `skus.create` takes, without the product.
    """
    category_id, now = values.get("category_id"), clock.now()
    if not _is_open(category_id):
        raise _unknown(category_id)
    product = Product(
        name=values["name"].strip(),
        description=values.get("description", ""),
        category_id=category_id,
        attributes=values.get("attributes", {}),
        created_at=now,
        updated_at=now,
    )
    products.add(product)
    _add_skus(product, values.get("skus", []))
    catalogue.changed()
    return product


def _add_skus(product: Product, rows: list[dict[str, Any]]) -> None:
    try:
        skus.add_to(product.id, rows)
    except Invalid as error:
        index = [row["sku_code"] for row in rows].index(error.facts["sku_code"])
        error.facts["errors"] = {"skus": {index: error.facts["errors"]}}
        raise


@transactional
def update(product_id: int, values: dict[str, Any], *, version: int | None, versions: frozenset[int] | None) -> Product:
    """Change what is given under the version it was read at; a `category_id` of None takes it out of its category.

    What is as it was is not written, and the version stays.
    """
    is_open = _is_open(values.get("category_id"))
    product = _live(products.lock(product_id), product_id)
    require_current(product, version=version, versions=versions, catalog_product_id=product_id)
    if not is_open:
        raise _unknown(values["category_id"])
    if "name" in values:
        values = values | {"name": values["name"].strip()}
    changes = catalogue.differing(product, values)
    if not changes:
        return product
    products.save(product, **changes, updated_at=clock.now())
    catalogue.changed(sku_rows.codes_of(product_id))
    return products.get(product_id)


@transactional
def delete(product_id: int, *, versions: frozenset[int] | None = None) -> Product:
    """Take a product off sale with all its SKUs. Raises `SkuInUse`, and changes nothing, while one is in use."""
    product = _live(products.lock(product_id), product_id)
    require_current(product, version=None, versions=versions, required=False, catalog_product_id=product_id)
    now = skus.close(sku_rows.lock_of_product(product_id, archived_at=None))
    products.save(product, archived_at=now, updated_at=now)
    return products.get(product_id)


@transactional
def restore(product_id: int, *, versions: frozenset[int] | None = None) -> Product:
    """Bring a product back with the SKUs that were deleted with it. Of a live one nothing changes.

    Raises `ParentDeleted` while its category is deleted, `AlreadyExists` when a barcode was taken meanwhile.
    """
    category_id = products.get(product_id).category_id
    is_open = _is_open(category_id)
    product = products.lock(product_id)
    if product is None:
        raise products.not_found(product_id)
    require_current(product, version=None, versions=versions, required=False, catalog_product_id=product_id)
    if product.archived_at is None:
        return product
    if product.category_id != category_id:
        raise LostRace(f"product {product_id} went to another category before it was locked")
    if not is_open:
        raise ParentDeleted(f"its category {category_id} is deleted", category_id=category_id)
    skus.reopen(sku_rows.lock_of_product(product_id, archived_at=product.archived_at))
    products.save(product, archived_at=None, updated_at=clock.now())
    return products.get(product_id)


def _is_open(category_id: int | None) -> bool:
    """Whether a product may hang there, and that it still may when the transaction ends; None hangs nowhere."""
    return category_id is None or category_id in categories.keep_open([category_id])


def _live(product: Product | None, product_id: int) -> Product:
    if product is None:
        raise products.not_found(product_id)
    if product.archived_at is not None:
        raise products.not_found(product_id, deleted=True)
    return product


def _unknown(category_id: int | None) -> UnknownCategory:
    return UnknownCategory(
        f"no category {category_id}", category_id=category_id, errors={"category_id": ["There is no such category."]}
    )
