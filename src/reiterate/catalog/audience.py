"""Whom a project reaches: its lists and their users, the fields of users, and who asked to be forgotten."""

from __future__ import annotations

from reiterate.catalog.entities import CREATED_AT, ID
from reiterate.catalog.model import DOCS, AnyOf, ByFields, Field, Listing, ListMembers, PerParent, Table, Type

_LISTS = Listing(path="/api/lists", rows="lists")

AUDIENCE = (
    Table(
        name="forgotten_users",
        about="One row per user who was forgotten (GDPR), by the hash of the address or user id.",
        key=("hashedEmail", "hashedUserId"),
        identity=ByFields(("hashedEmail", "hashedUserId")),
        # the first refuses in userID-based projects, the second in email-based ones (FACTS.md 14.4)
        read=AnyOf(
            (
                Listing(path="/api/users/forgotten", rows="hashedEmails", id="hashedEmail", plain=True),
                Listing(path="/api/users/forgottenUserIds", rows="hashedUserIds", id="hashedUserId", plain=True),
            )
        ),
        docs=f"{DOCS}#users_exportProjectForgottenUsers",
        fields=(
            Field("hashedEmail", Type.TEXT, "SHA-256, in hex, of the trimmed address in lower case."),
            Field("hashedUserId", Type.TEXT, "SHA-256, in hex, of the trimmed user id in lower case."),
        ),
    ),
    Table(
        name="list_sizes",
        about="One row per list, with the number of its users.",
        key=("listId",),
        identity=ByFields(("listId",)),
        read=PerParent(
            parents=_LISTS,
            listing=Listing(path="/api/lists/{}/size", id="size", plain=True),
            field="listId",
            parts=True,
        ),
        docs=f"{DOCS}#lists_getListCount",
        fields=(
            Field("listId", Type.BIGINT, "The list; joins to lists.id."),
            Field("size", Type.BIGINT, "How many users are on it."),
        ),
    ),
    Table(
        name="lists",
        about="One row per list.",
        key=("id",),
        identity=ByFields(("id",)),
        read=_LISTS,
        docs=f"{DOCS}#lists_getLists",
        fields=(
            ID,
            Field("name", Type.TEXT),
            Field("description", Type.TEXT),
            CREATED_AT,
            Field("listType", Type.TEXT, "Standard, Dynamic, Suppression or Internal."),
            Field("isGlobalSuppressionEnabled", Type.BOOLEAN, "On suppression lists only."),
        ),
    ),
    Table(
        name="list_users",
        about="One row per user on a list, as the lists are now.",
        key=("email", "listId"),
        identity=ByFields(("listId", "email", "userId")),
        read=ListMembers(path="/api/lists/getUsers", parameter="listId", parents=_LISTS),
        docs=f"{DOCS}#lists_getUsers",
        fields=(
            Field("email", Type.TEXT, "The user; null in projects whose lists give user ids."),
            Field("listId", Type.BIGINT, "The list; joins to lists.id."),
            Field("userId", Type.TEXT, "The user, in projects whose lists give user ids."),
        ),
    ),
    Table(
        name="user_fields",
        about="One row per field of user profiles, with the type that Iterable has for it.",
        key=("name",),
        identity=ByFields(("name",)),
        read=Listing(path="/api/users/getFields", rows="fields", id="name", value="type"),
        docs=f"{DOCS}#users_getUserFields",
        fields=(
            Field("name", Type.TEXT, "Fields of an object stand with a dot."),
            Field("type", Type.TEXT, "string, long, double, boolean, date, object and others; lists carry no mark."),
        ),
    ),
)
