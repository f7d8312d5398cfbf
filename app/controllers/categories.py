"""Categories: /categories/"""

from typing import Any

from flask import Response
from flask_restx import Namespace, Resource

from app.controllers import preconditions
from app.controllers.calls import read, write
from app.errors import (
    AlreadyExists,
    CategoryCircle,
    CategoryInUse,
    CategoryNotFound,
    CategoryTooDeep,
    InvalidCursor,
    InvalidIfMatch,
    PageTooDeep,
    ParentDeleted,
    UnknownCategory,
    VersionConflict,
    VersionMismatch,
    VersionRequired,
)
from app.extensions import settings
from app.models.api_keys import Permission
from app.models.categories import Category
from app.repositories import categories as category_rows
from app.schemas import categories as shapes
from app.services import categories
from app.services.catalogue import CATALOGUE
from app.utils.cache import Entry
from app.utils.replies import Reply, cached, render

ns = Namespace("categories", description="The tree that products are ordered in")
LIST_ERRORS = [InvalidCursor, PageTooDeep]
VERSION_ERRORS = [VersionMismatch, InvalidIfMatch]
MOVE_ERRORS = [
    CategoryNotFound, UnknownCategory, CategoryCircle, CategoryTooDeep, AlreadyExists,
    VersionRequired, VersionConflict, *VERSION_ERRORS,
]  # fmt: skip
VIEW = shapes.CategoryView()
IF_MATCH = {"If-Match": "the version the change was decided on"}


def _reply(category: Category, message: str) -> Reply:
    shown = {name: getattr(category, name) for name in VIEW.fields}
    shown["breadcrumbs"] = category_rows.lines_to([category.id]).get(category.id, [])
    return Reply(shown, message, etag=str(category.version))


@ns.route("/")
class Categories(Resource):
    @read(ns, query=shapes.CategoryQuery(), returns=shapes.CategoryView(), many=True, message="Categories",
          errors=LIST_ERRORS)  # fmt: skip
    def get(self, query: dict[str, Any]) -> Reply:
        """List categories, all of them or those right below one"""
        page = category_rows.page(
            query["asked"], parent_id=query.get("parent_id"), include_deleted=query["include_deleted"]
        )
        return Reply(page.rows, meta=page.meta)

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        body=shapes.CategoryNew(),
        returns=shapes.CategoryWithCrumbs(),
        status=201,
        errors=[AlreadyExists, UnknownCategory, CategoryTooDeep],
    )
    def post(self, body: dict[str, Any]) -> Reply:
        """Add a category, at the top or below another"""
        category = categories.create(body)
        reply = _reply(category, "Category created")
        reply.headers["Location"] = f"/api/v1/categories/{category.id}"
        return reply


@ns.route("/tree")
class CategoryTree(Resource):
    @read(ns, returns=shapes.CategoryNode(), many=True)
    def get(self) -> Response:
        """The whole tree, siblings by name"""

        def fill() -> Entry:
            return Entry(render(None, categories.tree(), message="Category tree"))

        return cached("categories:tree", CATALOGUE, fill, seconds=settings().cache_default_timeout)


@ns.route("/<row:category_id>")
class CategoryById(Resource):
    @read(ns, returns=shapes.CategoryWithCrumbs(), errors=[CategoryNotFound])
    def get(self, category_id: int) -> Reply:
        """Show a category"""
        return _reply(category_rows.get(category_id), "Category")

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        body=shapes.CategoryChange(),
        returns=shapes.CategoryWithCrumbs(),
        headers=IF_MATCH,
        errors=MOVE_ERRORS,
    )
    def put(self, category_id: int, body: dict[str, Any]) -> Reply:
        """Rename a category, move it with all below it, or change its attributes"""
        version = body.pop("version", None)
        changed = categories.update(category_id, body, version=version, versions=preconditions.versions())
        return _reply(changed, "Category changed")

    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        query=shapes.RemovalQuery(),
        returns=shapes.CategoryWithCrumbs(),
        headers=IF_MATCH,
        errors=[CategoryNotFound, CategoryInUse, *VERSION_ERRORS],
    )
    def delete(self, category_id: int, query: dict[str, Any]) -> Reply:
        """Close a category with all below it; with force, take one away for good that nothing hangs on"""
        if query["force"]:
            last = _reply(category_rows.get(category_id), "Category removed")
            categories.remove(category_id, versions=preconditions.versions())
            return last
        return _reply(categories.delete(category_id, versions=preconditions.versions()), "Category deleted")


@ns.route("/<row:category_id>/move")
class CategoryMove(Resource):
    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        body=shapes.CategoryMove(),
        returns=shapes.CategoryWithCrumbs(),
        headers=IF_MATCH,
        errors=MOVE_ERRORS,
    )
    def post(self, category_id: int, body: dict[str, Any]) -> Reply:
        """Hang a category with all below it below another one, or at the top"""
        version = body.pop("version", None)
        moved = categories.update(category_id, body, version=version, versions=preconditions.versions())
        return _reply(moved, "Category moved")


@ns.route("/<row:category_id>/restore")
class CategoryRestore(Resource):
    @write(
        ns,
        scope=Permission.CATALOG_WRITE,
        returns=shapes.CategoryWithCrumbs(),
        headers=IF_MATCH,
        errors=[CategoryNotFound, ParentDeleted, AlreadyExists, *VERSION_ERRORS],
    )
    def post(self, category_id: int) -> Reply:
        """Open a closed category again, with what was closed together with it"""
        return _reply(categories.restore(category_id, versions=preconditions.versions()), "Category restored")


@ns.route("/<row:category_id>/subtree")
class CategorySubtree(Resource):
    @read(ns, query=shapes.SubtreeQuery(), returns=shapes.CategoryView(), many=True, message="Subtree",
          errors=[CategoryNotFound, *LIST_ERRORS])  # fmt: skip
    def get(self, category_id: int, query: dict[str, Any]) -> Reply:
        """A category and all below it, parents before their children"""
        top = category_rows.get(category_id)
        page = category_rows.subtree(top, query["asked"], include_deleted=query["include_deleted"])
        return Reply(page.rows, meta=page.meta)


@ns.route("/<row:category_id>/breadcrumbs")
class CategoryBreadcrumbs(Resource):
    @read(ns, returns=shapes.Crumb(), many=True, message="Breadcrumbs", errors=[CategoryNotFound])
    def get(self, category_id: int) -> list[Any]:
        """The way from the top down to a category"""
        category_rows.get(category_id)
        return category_rows.lines_to([category_id])[category_id]
