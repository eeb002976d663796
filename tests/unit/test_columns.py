"""Column names: readable, safe in every database, the same on every machine, and never two fields in one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reiterate.catalog import TABLES
from reiterate.catalog.model import ByEvent, Type
from reiterate.flow import Column
from reiterate.parse import first_columns
from reiterate.parse.columns import EVENT_ID, VARIANTS, named, variant, with_catalog
from reiterate.shape import LONGEST_NAME, snake_case

if TYPE_CHECKING:
    from random import Random

    from reiterate.catalog.model import Table

PROPERTY = settings(derandomize=True, deadline=None, max_examples=300)

NAMES = {
    "createdAt": "created_at",
    "email": "email",
    "itblInternal.emailDomain": "itbl_internal_email_domain",
    "itblInternal.documentCreatedAt": "itbl_internal_document_created_at",
    "trackedLink.templateUrl": "tracked_link_template_url",
    "receivedSMSDisclaimer": "received_sms_disclaimer",
    "phoneNumberDetails.countryCodeISO": "phone_number_details_country_code_iso",
    "itblDS.predictiveGoals": "itbl_ds_predictive_goals",
    "whatsAppPhoneNumber": "whats_app_phone_number",
    "URL": "url",
    "userID": "user_id",
    "HTMLBody": "html_body",
    "SMSv2Opt": "sm_sv2_opt",
    "A": "a",
    "aB": "a_b",
    "ABc": "a_bc",
    "address2": "address2",
    "address2Line": "address2_line",
    "X1Y2": "x1_y2",
    "already_snake_case": "already_snake_case",
    "Mixed_Case_name": "mixed_case_name",
    "senate Districts": "senate_districts",
    "offers.intro APR": "offers_intro_apr",
    "_industry": "_industry",
    "__private": "_private",
    "trailing_": "trailing",
    "a  --  b": "a_b",
    "price (€)": "price",
    "1st order": "_1st_order",
    "2026": "_2026",
    "naïve café": "naive_cafe",
    "Größe": "groe",
    "ﬁrst": "first",
    "x²": "x2",
    "select": "select",
    'a"b': "a_b",
    "a'; DROP TABLE users; --": "a_drop_table_users",
    "tab\there": "tab_here",
    "a\x00b": "a_b",
    "a" * 48: "a" * 48,
    # sha256 of the field, its first six digits
    "": "x_e3b0c4",
    "$": "x_09fc96",
    "*": "x_684888",
    "_": "x_d2e2ad",
    "名前": "x_7ec262",
    "😀": "x_f0443a",
    "a" * 49: f"{'a' * 41}_8f9bec",
}

FIELDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
SHORT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
CLASHING = st.text("aAbB1_ .é-", max_size=4)
"""So few letters that names meet often."""


# ── one name ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("field", "name"), NAMES.items())
def test_snake_case(field: str, name: str) -> None:
    """Words are parted by underscores; what is no ASCII letter or digit parts words, or goes."""
    assert name == snake_case(field)


@PROPERTY
@given(FIELDS)
def test_names_are_safe_in_every_database(field: str) -> None:
    """A name has lower-case ASCII letters, digits and underscores, begins with no digit, and is not too long."""
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", snake_case(field))
    assert LONGEST_NAME >= len(snake_case(field))


@PROPERTY
@given(SHORT)
def test_a_name_is_its_own_name(field: str) -> None:
    """The name of a name is the same, so a field that is spelled like a column keeps it."""
    assert snake_case(field) == snake_case(snake_case(field))


@PROPERTY
@given(SHORT)
def test_underscores_are_single(field: str) -> None:
    """Two underscores part a column from the type of its variant, and nothing else."""
    assert "__" not in snake_case(field)


def test_underscores_are_single_in_long_names() -> None:
    """A name that is too long has single underscores, too."""
    assert "__" not in snake_case(f"{'a' * 40}_{'b' * 20}")


def test_long_names_that_begin_alike_differ() -> None:
    """A long name keeps the hash of the whole field."""
    assert snake_case("a" * 60) != snake_case("a" * 61)


# ── many names ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_field_that_is_spelled_like_its_column_has_it() -> None:
    """Of fields that meet, the one spelled like the column comes first; the others get a hash of their own."""
    assert {"foo_bar": "foo_bar", "fooBar": "foo_bar_5a906c", "Foo Bar": "foo_bar_55282c"} == named(
        ["Foo Bar", "fooBar", "foo_bar"], ()
    )


def test_then_the_alphabet_decides() -> None:
    """Of fields none of which is spelled like the column, the first in alphabetical order has it."""
    assert {"FOO": "foo", "Foo": "foo_1cbec7", "fOO": "f_oo"} == named(["fOO", "Foo", "FOO"], ())


def test_a_taken_name_stays_with_its_owner() -> None:
    """A column that the destination has keeps its name; a new field makes way, though it is spelled like the column."""
    assert {"foo_bar": "foo_bar_4928ca"} == named(["foo_bar"], {"foo_bar"})


def test_a_technical_name_is_never_a_fields() -> None:
    """A source field called like the identity of events gets a name of its own."""
    assert {"_event_id": "_event_id_2ef8dc"} == named(["_event_id"], {EVENT_ID.name})


def test_long_names_that_meet() -> None:
    """A long name that makes way stays within the limit."""
    assert {"a" * 48: f"{'a' * 41}_97daac"} == named(["a" * 48], {"a" * 48})


@PROPERTY
@given(st.sets(CLASHING, max_size=12), st.sets(CLASHING.map(snake_case), max_size=4))
def test_every_field_has_a_column_of_its_own(fields: set[str], taken: set[str]) -> None:
    """No two fields share a column, nor does one take a column that was there."""
    names = named(fields, taken)
    assert fields == names.keys()
    assert len(fields) == len({*names.values()} - taken)


@PROPERTY
@given(st.lists(CLASHING, unique=True, max_size=12), st.randoms(use_true_random=False))
def test_names_do_not_depend_on_order(fields: list[str], random: Random) -> None:
    """Names are the same in whatever order the fields are seen."""
    assert named(fields, ()) == named(random.sample(fields, len(fields)), ())


@pytest.mark.parametrize(
    "fields",
    [
        ("fooBar", "foo_bar", "foo_bar_5a906c"),
        ("a" * 49, f"{'a' * 41}_8f9bec"),
    ],
    ids=["a name with a hash", "a long name"],
)
def test_a_field_that_is_spelled_like_anothers_hashed_name(fields: tuple[str, ...]) -> None:
    """A field that is spelled as another one's name with a hash has a column of its own, as has the other."""
    assert len(fields) == len({*named(fields, ()).values()})


# ── the columns of a table ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_first_columns_do_not_meet(table: Table) -> None:
    """Every known field of a table has a column of its own, named and typed after it."""
    columns = first_columns(table)
    fields = [column for column in columns if column.field is not None]
    assert [(snake_case(field.name), field.type) for field in table.fields] == [(c.name, c.type) for c in fields]
    assert len(columns) == len({column.name for column in columns})


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_only_events_have_an_identity_column(table: Table) -> None:
    """``_event_id`` is the first column of events, and of no other table."""
    technical = [column for column in first_columns(table) if column.field is None]
    assert ([EVENT_ID] if isinstance(table.identity, ByEvent) else []) == technical
    assert not isinstance(table.identity, ByEvent) or first_columns(table)[0] == EVENT_ID


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_new_table_has_the_columns_of_the_catalog(table: Table) -> None:
    """The catalog's columns are those of a table that is not there yet, and add nothing to one that has them."""
    assert first_columns(table) == with_catalog(table, ()) == with_catalog(table, first_columns(table))


def test_a_column_that_was_there_keeps_its_place_name_and_type() -> None:
    """What the destination has comes first and stays as it is; what the catalog knows besides follows."""
    size = Column("size_in_shop", Type.TEXT, "sendSize")
    columns = with_catalog(TABLES["campaigns"], (size,))
    assert size == columns[0]
    assert [size] == [column for column in columns if column.field == "sendSize"]
    assert len(TABLES["campaigns"].fields) == len(columns)


def test_the_catalog_makes_way_for_a_column_that_was_there() -> None:
    """A custom field that holds the name of a field that the catalog learnt later keeps it."""
    custom = Column("labels", Type.TEXT, "Labels")
    columns = {column.field: column.name for column in with_catalog(TABLES["campaigns"], (custom,))}
    assert ("labels", "labels_d772eb") == (columns["Labels"], columns["labels"])


@pytest.mark.parametrize("kind", VARIANTS)
def test_variants(kind: Type) -> None:
    """A variant has the name of its column, two underscores and its type; PostgreSQL takes the longest."""
    main = Column("a" * LONGEST_NAME, Type.TIMESTAMP, "when")
    beside = variant(main, kind)
    assert Column(f"{main.name}__v_{VARIANTS[kind]}", kind, "when", variant=True) == beside
    assert 63 >= len(beside.name)


@PROPERTY
@given(SHORT)
def test_no_field_is_named_like_a_variant(field: str) -> None:
    """A source field cannot take the name of a variant: its own has no two underscores."""
    assert not any(snake_case(field).endswith(f"__v_{name}") for name in VARIANTS.values())
