"""Statements in dialects of warehouses that do not run here: by text, and read back by the grammar of each."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlglot
from sqlglot import exp

from reiterate.catalog import TABLES
from reiterate.flow import Job, Part, Status, Write
from reiterate.ledger import Refusal
from reiterate.secret import Secret
from reiterate.sinks.dialects import DIALECTS, Merging
from reiterate.sinks.dlt import DltSink
from reiterate.windows import Window
from tests.sinks.batches import (
    READ_AT,
    again,
    at,
    batch,
    campaign,
    click,
    first_read,
    listed,
    load,
    members,
    user,
    whole,
    window,
)
from tests.sinks.suite import RUN

if TYPE_CHECKING:
    from pathlib import Path

ROWS = '(SELECT "id", "n" FROM "d_staging"."x")'
SAME = 't."id" = s."id"'
CHANGED = 's."n" IS DISTINCT FROM t."n"'
HOUR = "t.\"at\" >= '2026-11-01T10:00:00+00:00'::TIMESTAMPTZ"

MERGE = (
    f'MERGE INTO "d"."c" AS t USING {ROWS} AS s ON {HOUR} AND {SAME} WHEN MATCHED AND ({CHANGED}) '
    'THEN UPDATE SET "n" = s."n" WHEN NOT MATCHED THEN INSERT ("id", "n") VALUES (s."id", s."n")'
)
UPDATE = f'UPDATE "d"."c" AS t SET "n" = s."n" FROM {ROWS} AS s WHERE {SAME} AND ({CHANGED})'
INSERT = (
    f'INSERT INTO "d"."c" ("id") SELECT s."id" FROM {ROWS} AS s '
    f'WHERE NOT EXISTS (SELECT 1 FROM "d"."c" AS t WHERE {HOUR} AND {SAME})'
)
DELETE = f'DELETE FROM "d"."c" AS t WHERE t."part" = 1 AND NOT EXISTS (SELECT 1 FROM {ROWS} AS s WHERE {SAME})'
ENDED = (
    'UPDATE "d"."c_history" AS h SET "_valid_to" = \'2026-11-01\' WHERE h."_valid_to" IS NULL AND EXISTS (SELECT 1 '
    'FROM "d"."c" AS t WHERE t."part" = 1 AND h."id" = t."id" AND h."_valid_to" IS NULL '
    'AND (h."n" IS DISTINCT FROM t."n"))'
)
ANEW = f'DELETE FROM "d"."c" AS t WHERE {HOUR} AND EXISTS (SELECT 1 FROM {ROWS} AS s WHERE {SAME} AND ({CHANGED}))'
FACT = """INSERT INTO "d"."r" ("rows", ok) VALUES (NULL, 'it''s 100 %; "ä" \\')"""

GOLDEN = [
    (
        "snowflake",
        MERGE,
        (
            'MERGE INTO "d"."c" AS "t" USING (SELECT "id", "n" FROM "d_staging"."x") AS "s" ON "t"."at" >= '
            'CAST(\'2026-11-01T10:00:00+00:00\' AS TIMESTAMPTZ) AND "t"."id" = "s"."id" WHEN MATCHED AND (("s"."n" '
            '<> "t"."n" OR ("t"."n" IS NULL AND NOT "s"."n" IS NULL) OR ("s"."n" IS NULL AND NOT "t"."n" IS '
            'NULL))) THEN UPDATE SET "n" = "s"."n" WHEN NOT MATCHED THEN INSERT ("id", "n") VALUES ("s"."id", '
            '"s"."n")'
        ),
    ),
    (
        "snowflake",
        INSERT,
        (
            'INSERT INTO "d"."c" ("id") SELECT "s"."id" FROM (SELECT "id", "n" FROM "d_staging"."x") AS "s" '
            'WHERE NOT EXISTS(SELECT 1 FROM "d"."c" AS "t" WHERE "t"."at" >= CAST(\'2026-11-01T10:00:00+00:00\' AS '
            'TIMESTAMPTZ) AND "t"."id" = "s"."id")'
        ),
    ),
    (
        "snowflake",
        DELETE,
        (
            'DELETE FROM "d"."c" WHERE "c"."part" = 1 AND NOT EXISTS(SELECT 1 FROM (SELECT "id", "n" FROM '
            '"d_staging"."x") AS "s" WHERE "c"."id" = "s"."id")'
        ),
    ),
    (
        "snowflake",
        FACT,
        'INSERT INTO "d"."r" ("rows", "ok") VALUES (NULL, \'it\\\'s 100 %; "ä" \\\\\')',
    ),
    (
        "bigquery",
        MERGE,
        (
            "MERGE INTO `d`.`c` AS `t` USING (SELECT `id`, `n` FROM `d_staging`.`x`) AS `s` ON `t`.`at` >= "
            "CAST('2026-11-01T10:00:00+00:00' AS TIMESTAMP) AND `t`.`id` = `s`.`id` WHEN MATCHED AND ((`s`.`n` "
            "<> `t`.`n` OR (`t`.`n` IS NULL AND NOT `s`.`n` IS NULL) OR (`s`.`n` IS NULL AND NOT `t`.`n` IS "
            "NULL))) THEN UPDATE SET `n` = `s`.`n` WHEN NOT MATCHED THEN INSERT (`id`, `n`) VALUES (`s`.`id`, "
            "`s`.`n`)"
        ),
    ),
    (
        "bigquery",
        DELETE,
        (
            "DELETE FROM `d`.`c` AS `t` WHERE `t`.`part` = 1 AND NOT EXISTS(SELECT 1 FROM (SELECT `id`, `n` FROM "
            "`d_staging`.`x`) AS `s` WHERE `t`.`id` = `s`.`id`)"
        ),
    ),
    (
        "bigquery",
        FACT,
        "INSERT INTO `d`.`r` (`rows`, `ok`) VALUES (NULL, 'it\\'s 100 %%; \"ä\" \\\\')",
    ),
    (
        "redshift",
        UPDATE,
        (
            'UPDATE "d"."c" AS "t" SET "n" = "s"."n" FROM (SELECT "id", "n" FROM "d_staging"."x") AS "s" WHERE '
            '"t"."id" = "s"."id" AND (("s"."n" <> "t"."n" OR ("t"."n" IS NULL AND NOT "s"."n" IS NULL) OR '
            '("s"."n" IS NULL AND NOT "t"."n" IS NULL)))'
        ),
    ),
    (
        "redshift",
        INSERT,
        (
            'INSERT INTO "d"."c" ("id") SELECT "s"."id" FROM (SELECT "id", "n" FROM "d_staging"."x") AS "s" '
            'WHERE NOT EXISTS(SELECT 1 FROM "d"."c" AS "t" WHERE "t"."at" >= CAST(\'2026-11-01T10:00:00+00:00\' AS '
            'TIMESTAMP WITH TIME ZONE) AND "t"."id" = "s"."id")'
        ),
    ),
    (
        "redshift",
        DELETE,
        (
            'DELETE FROM "d"."c" WHERE "c"."part" = 1 AND NOT EXISTS(SELECT 1 FROM (SELECT "id", "n" FROM '
            '"d_staging"."x") AS "s" WHERE "c"."id" = "s"."id")'
        ),
    ),
    (
        "databricks",
        MERGE,
        (
            "MERGE INTO `d`.`c` AS `t` USING (SELECT `id`, `n` FROM `d_staging`.`x`) AS `s` ON `t`.`at` >= "
            "CAST('2026-11-01T10:00:00+00:00' AS TIMESTAMP) AND `t`.`id` = `s`.`id` WHEN MATCHED AND ((`s`.`n` "
            "<> `t`.`n` OR (`t`.`n` IS NULL AND NOT `s`.`n` IS NULL) OR (`s`.`n` IS NULL AND NOT `t`.`n` IS "
            "NULL))) THEN UPDATE SET `n` = `s`.`n` WHEN NOT MATCHED THEN INSERT (`id`, `n`) VALUES (`s`.`id`, "
            "`s`.`n`)"
        ),
    ),
    (
        "databricks",
        DELETE,
        (
            "DELETE FROM `d`.`c` AS `t` WHERE `t`.`part` = 1 AND NOT EXISTS(SELECT 1 FROM (SELECT `id`, `n` FROM "
            "`d_staging`.`x`) AS `s` WHERE `t`.`id` = `s`.`id`)"
        ),
    ),
    (
        "mssql",
        MERGE,
        (
            "MERGE INTO [d].[c] AS [t] USING (SELECT [id] AS [id], [n] AS [n] FROM [d_staging].[x]) AS [s] ON "
            "[t].[at] >= CAST(N'2026-11-01T10:00:00+00:00' AS DATETIMEOFFSET) AND [t].[id] = [s].[id] WHEN "
            "MATCHED AND (([s].[n] <> [t].[n] OR ([t].[n] IS NULL AND NOT [s].[n] IS NULL) OR ([s].[n] IS NULL "
            "AND NOT [t].[n] IS NULL))) THEN UPDATE SET [n] = [s].[n] WHEN NOT MATCHED THEN INSERT ([id], [n]) "
            "VALUES ([s].[id], [s].[n]);"
        ),
    ),
    (
        "mssql",
        DELETE,
        (
            "DELETE FROM [d].[c] WHERE [c].[part] = 1 AND NOT EXISTS(SELECT 1 FROM (SELECT [id] AS [id], [n] AS "
            "[n] FROM [d_staging].[x]) AS [s] WHERE [c].[id] = [s].[id]);"
        ),
    ),
    (
        "mssql",
        FACT,
        "INSERT INTO [d].[r] ([rows], [ok]) VALUES (NULL, N'it''s 100 %; \"ä\" \\');",
    ),
    (
        "mssql",
        ENDED,
        (
            "UPDATE [d].[c_history] SET [_valid_to] = N'2026-11-01' WHERE [c_history].[_valid_to] IS NULL AND "
            "EXISTS(SELECT 1 FROM [d].[c] AS [t] WHERE [t].[part] = 1 AND [c_history].[id] = [t].[id] AND "
            "[c_history].[_valid_to] IS NULL AND (([c_history].[n] <> [t].[n] OR ([t].[n] IS NULL AND NOT "
            "[c_history].[n] IS NULL) OR ([c_history].[n] IS NULL AND NOT [t].[n] IS NULL))));"
        ),
    ),
    (
        "clickhouse",
        ENDED,
        (
            'ALTER TABLE "d"."c_history" UPDATE "_valid_to" = \'2026-11-01\' WHERE "_valid_to" IS NULL AND ("id") '
            'IN (SELECT "t"."id" FROM "d"."c" AS "t" INNER JOIN "d"."c_history" AS "h" ON "h"."id" = "t"."id" '
            'WHERE "t"."part" = 1 AND "h"."_valid_to" IS NULL AND ("h"."n" <> "t"."n" OR ("t"."n" IS NULL AND '
            'NOT ("h"."n" IS NULL)) OR ("h"."n" IS NULL AND NOT ("t"."n" IS NULL)))) SETTINGS mutations_sync = 1'
        ),
    ),
    (
        "clickhouse",
        ANEW,
        (
            'DELETE FROM "d"."c" WHERE "at" >= CAST(\'2026-11-01T10:00:00+00:00\' AS DateTime64(6, \'UTC\')) AND '
            '("id") IN (SELECT "s"."id" FROM (SELECT "id", "n" FROM "d_staging"."x") AS "s" INNER JOIN "d"."c" '
            'AS "t" ON "t"."id" = "s"."id" WHERE "s"."n" <> "t"."n" OR ("t"."n" IS NULL AND NOT ("s"."n" IS '
            'NULL)) OR ("s"."n" IS NULL AND NOT ("t"."n" IS NULL)))'
        ),
    ),
    (
        "clickhouse",
        INSERT,
        (
            'INSERT INTO "d"."c" ("id") SELECT "s"."id" FROM (SELECT "id", "n" FROM "d_staging"."x") AS "s" LEFT '
            'ANTI JOIN "d"."c" AS "t" ON "t"."at" >= CAST(\'2026-11-01T10:00:00+00:00\' AS DateTime64(6, \'UTC\')) '
            'AND "t"."id" = "s"."id"'
        ),
    ),
    (
        "clickhouse",
        DELETE,
        (
            'DELETE FROM "d"."c" WHERE "part" = 1 AND NOT (("id") IN (SELECT "s"."id" FROM (SELECT "id", "n" '
            'FROM "d_staging"."x") AS "s"))'
        ),
    ),
    (
        "clickhouse",
        FACT,
        'INSERT INTO "d"."r" ("rows", "ok") VALUES (NULL, \'it\'\'s 100 %\\x3B "ä" \\\\\')',
    ),
]


@pytest.mark.parametrize(("dialect", "statement", "text"), GOLDEN)
def test_statements(dialect: str, statement: str, text: str) -> None:
    """Rows are merged, removed and noted in the words of each dialect."""
    assert text == DIALECTS[dialect].translate(statement)


class Recording(DltSink):
    """A sink that remembers its statements as they were before translation."""

    def __init__(self, file: Path) -> None:
        self.said: list[str] = []
        super().__init__("duckdb", Secret(f"duckdb:///{file}"), "iterable", shown=str(file))

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        self.said.append(query)
        return super()._rows(query)

    def _do(self, statement: str) -> int:
        self.said.append(statement)
        return super()._do(statement)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Everything that a sink says in its life."""
    directory = tmp_path_factory.mktemp("recorded")
    os.environ["TMPDIR"] = str(directory)
    with closing(Recording(directory / "shop.duckdb")) as sink:
        sink.begin(RUN)
        load(sink, first_read("10:00", "11:00"), click("10:00", tags=["a"]))
        load(sink, again("10:00", "11:00"), click("10:00", tags=["b"]), click("10:01"))
        load(sink, window("users", "10:00", "11:00"), user("a@example.com", "10:00"))
        load(sink, whole("campaigns"), campaign(1, "10:00"))
        load(sink, whole("campaigns"), campaign(2, "10:00"))
        load(sink, listed(1), *members(1, "a@example.com", "b@example.com"))
        load(sink, listed(1), *members(1, "c@example.com"))
        sink.refresh(TABLES["email_click"])
        load(sink, first_read("10:00", "11:00"), click("10:00", tags=["a"]))
        sink.swap(TABLES["email_click"])
        for kept in (listed(1), window("users", "10:00", "11:00"), whole("campaigns")):
            task = replace(kept, history=True, snapshots=kept.write is Write.REPLACE)
            load(sink, task, *({"email": "a@example.com", "listId": 1, "id": 1, "x": [1]},))
        sink.keep(Job(1, "email_click", Window(at("10:00"), at("11:00")), READ_AT))
        sink.refuse(Refusal("r1", "list_users", "7", READ_AT, "no"))
        sink.ledger()
        sink.retain(TABLES["list_users"], [Part("listId", 9)])
        for table in map(TABLES.__getitem__, ("email_click", "users", "list_users")):
            sink.state(table)
            sink.doubles(table)
            sink.changes(table)
        sink.count(TABLES["email_click"], Window(at("10:00"), at("11:00")))
        sink.count(TABLES["list_users"], Part("listId", 1))
        sink.compare(batch(sink, again("10:00", "11:00"), [click("10:00")]))
        sink.finish(replace(RUN, finished_at=READ_AT, status=Status.SUCCEEDED))
        sink.runs(10)
    return sink.said


@pytest.mark.parametrize("kind", DIALECTS)
def test_every_statement_in_every_dialect(said: list[str], kind: str) -> None:
    """Whatever a sink says is read back whole by the grammar of each dialect; nothing is passed through unread."""
    dialect = DIALECTS[kind]
    kinds = set()
    for statement in said:
        if statement.startswith("MERGE") and dialect.merging is not Merging.AT_ONCE:
            continue
        text = dialect.translate(statement)
        for plain, escaped in dialect.escapes:
            text = text.replace(escaped, plain)
        (tree,) = sqlglot.parse(text.removesuffix(";"), read=dialect.name)
        assert tree is not None
        unread = isinstance(tree, exp.Command)
        assert (kind == "clickhouse" and statement.startswith("UPDATE")) == unread, text
        kinds.add(statement.split()[0])
    assert {"SELECT", "INSERT", "UPDATE", "DELETE"} <= kinds


@pytest.mark.parametrize(
    ("kind", "by", "text"),
    [
        ("duckdb", "at", "CREATE TABLE d.t (at X)"),
        ("bigquery", "at", "CREATE TABLE d.t (at X) CLUSTER BY at"),
        ("redshift", "at", "CREATE TABLE d.t (at X) SORTKEY (at)"),
        ("databricks", "at", "CREATE TABLE d.t (at X) CLUSTER BY (at)"),
        ("databricks", None, "CREATE TABLE d.t (at X)"),
        ("clickhouse", "at", "CREATE TABLE d.t (at X) ENGINE = MergeTree ORDER BY at SETTINGS allow_nullable_key = 1"),
        ("clickhouse", None, "CREATE TABLE d.t (at X) ENGINE = MergeTree ORDER BY tuple()"),
    ],
)
def test_tables_are_kept_by_their_replication_key(kind: str, by: str | None, text: str) -> None:
    """A merge looks at the rows of its window where the warehouse can keep rows by a column."""
    assert text == DIALECTS[kind].definition("d.t", "at X", by)
