"""
What warehouses understand differently: statements are written once, as PostgreSQL and DuckDB read them, and translated.

    "UPDATE … AS t SET … FROM … AS s WHERE …" ─► tree ─► rules of the dialect ─► its text
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from reiterate.catalog.model import Type

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Rule = Callable[[exp.Expr], exp.Expr]


class Merging(Enum):
    """How rows are changed and added."""

    AT_ONCE = "by one MERGE"
    IN_TURN = "by UPDATE, then INSERT"
    ANEW = "by DELETE, then INSERT"


NOT_AS_LITERALS = (Type.JSON, Type.DOUBLE)
"""What dlt cannot write into an INSERT: NaN and the infinities are no literals."""


@dataclass(frozen=True)
class Dialect:
    """
    What one kind of database has of its own.

    *name* is sqlglot's. With *transactions*, rows and fact are kept together; *ddl* tells whether definitions of
    tables are part of them. *json_read* makes JSON of text, *json_text* the reverse where JSON cannot be compared.
    """

    name: str
    merging: Merging = Merging.AT_ONCE
    transactions: bool = True
    ddl: bool = False
    json_read: str = "{}"
    json_text: str = "{}"
    types: Mapping[Type, str] = field(default_factory=dict)
    """where they are not what dlt would take"""
    as_text: tuple[Type, ...] = (Type.JSON,)
    """what is staged as text, for dlt's type would not hold all of it"""
    nullable: str = "{}"
    behind: str = ""
    """what stands behind the columns of a new table"""
    behind_by: str = ""
    """the same, where its rows can be kept by a column"""
    add: str = "ADD COLUMN"
    rules: tuple[Rule, ...] = ()
    escapes: tuple[tuple[str, str], ...] = ()
    """what the driver would take for something else"""
    begin: str = ""
    """what begins a transaction: nobody waits long for a lock of somebody else"""
    end: str = ""
    most_columns: int = 1000
    """more would not fit into a table, or a row, or the memory of those who write it"""
    swap: str = ""
    """the one statement that lets all rows of a table be those of another, for who has no transactions"""
    file: str | None = None
    """the format of files that dlt loads: where several would do, the one that keeps every value"""

    def definition(self, table: str, columns: str, by: str | None) -> str:
        """Return the statement that makes a table of names and columns that are quoted; it is not translated."""
        behind = self.behind_by.format(by) if by and self.behind_by else self.behind
        return f"CREATE TABLE {table} ({columns}){behind}"

    def translate(self, statement: str) -> str:
        tree: exp.Expr = sqlglot.parse_one(statement, read="postgres")
        for rule in (_plain_inequality, *self.rules):
            tree = tree.transform(rule, copy=False)
        text = tree.sql(dialect=self.name, identify=True)
        for plain, escaped in self.escapes:
            text = text.replace(plain, escaped)
        return f"{text}{self.end}"


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _plain_inequality(node: exp.Expr) -> exp.Expr:
    """IS DISTINCT FROM, for those who do not know it; as a condition, unknown is as good as false."""
    if not isinstance(node, exp.NullSafeNEQ):
        return node
    left, right = node.left, node.right
    alone = [
        exp.Paren(this=exp.And(this=_is_null(null), expression=exp.Not(this=_is_null(value))))
        for null, value in ((right, left), (left, right))
    ]
    unlike = exp.NEQ(this=left.copy(), expression=right.copy())
    return exp.Paren(this=exp.Or(this=exp.Or(this=unlike, expression=alone[0]), expression=alone[1]))


def _is_null(value: exp.Expr) -> exp.Expr:
    return exp.Is(this=value.copy(), expression=exp.Null())


def _no_alias_to_delete_from(node: exp.Expr) -> exp.Expr:
    """DELETE knows its table by its own name, where it takes no alias."""
    return _without_alias(node) if isinstance(node, exp.Delete) else node


def _no_alias_to_update(node: exp.Expr) -> exp.Expr:
    """The same for UPDATE; that of a MERGE has no table."""
    return _without_alias(node) if isinstance(node, exp.Update) and node.this else node


def _without_alias(node: exp.Expr) -> exp.Expr:
    if alias := node.this.alias:
        for column in node.find_all(exp.Column):
            if column.table == alias:
                column.set("table", node.this.this.copy())
        node.this.set("alias", None)
    return node


def _second_as_text(node: exp.Expr) -> exp.Expr:
    """The second of an instant, for servers before 2022, which know no DATETRUNC."""
    if not isinstance(node, exp.TimestampTrunc):
        return node
    text = exp.Anonymous(this="CONVERT", expressions=[exp.Var(this="VARCHAR(33)"), node.this, exp.Literal.number(126)])
    return exp.Left(this=text, expression=exp.Literal.number(19))


def _unicode(node: exp.Expr) -> exp.Expr:
    """Text of any language is NVARCHAR, as long as it may be."""
    if isinstance(node, exp.Literal) and node.is_string:
        return exp.National(this=node.this)
    if isinstance(node, exp.DataType) and node.this in exp.DataType.TEXT_TYPES:
        return exp.DataType.build("NVARCHAR(MAX)", dialect="tsql")
    return node


# ── ClickHouse ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _instants_of_clickhouse(node: exp.Expr) -> exp.Expr:
    """Return an instant to the microsecond: a plain cast would end at the second."""
    if isinstance(node, exp.Cast) and node.to.is_type("timestamptz"):
        return exp.cast(node.this, "DateTime64(6, 'UTC')", dialect="clickhouse")
    if isinstance(node, exp.Cast) and node.to.is_type("date"):
        # days before 1970 are beyond its Date
        return exp.cast(node.this, "Nullable(Date32)", dialect="clickhouse")
    return node


def _update_of_clickhouse(node: exp.Expr) -> exp.Expr:
    """Rows change by a mutation, and the statement ends when it has."""
    if not isinstance(node, exp.Update):
        return node
    bare, where = _by_membership(node)
    target, changes, condition = (
        part.sql(dialect="clickhouse", identify=True)
        for part in (bare, exp.Tuple(expressions=node.expressions), exp.Where(this=where))
    )
    return exp.Command(
        this="ALTER", expression=f"TABLE {target} UPDATE {changes[1:-1]} {condition} SETTINGS mutations_sync = 1"
    )


def _delete_of_clickhouse(node: exp.Expr) -> exp.Expr:
    """[NOT] EXISTS in a DELETE becomes [NOT] IN: ClickHouse has no correlated subqueries there."""
    if not isinstance(node, exp.Delete):
        return node
    bare, where = _by_membership(node)
    return exp.Delete(this=bare, where=exp.Where(this=where))


def _by_membership(node: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    """Return the table that a statement changes, without alias, and its condition, whose [NOT] EXISTS are [NOT] IN."""
    target, where = node.this, node.args["where"]
    for exists in list(where.find_all(exp.Exists)):
        exists.replace(_membership(exists.this, target))
    condition = _conjunction([_unqualified(part, target.alias) for part in _conjuncts(where.this)])
    bare = target.copy()
    bare.set("alias", None)
    return bare, condition


def _membership(query: exp.Expr, target: exp.Expr) -> exp.Expr:
    """Return the condition that a row of *target* has its like in *query*: equal, and as other conditions have it."""
    conditions = _conjuncts(query.args["where"].this)
    same = [part for part in conditions if isinstance(part, exp.EQ) and _tells_of(part.left, target.alias)]
    rest = [part for part in conditions if part not in same]
    inner = exp.select(*(part.right.copy() for part in same)).from_(_read_from(query))
    if rest:
        inner = inner.join(target.copy(), on=_conjunction(same), join_type="inner").where(_conjunction(rest))
    left = exp.Tuple(expressions=[_unqualified(part.left.copy(), target.alias) for part in same])
    return exp.In(this=left, query=exp.Subquery(this=inner))


def _tells_of(value: exp.Expr, alias: str) -> bool:
    return any(column.table == alias for column in value.find_all(exp.Column))


def _unqualified(condition: exp.Expr, alias: str) -> exp.Expr:
    for column in condition.find_all(exp.Column):
        if column.table == alias and not column.find_ancestor(exp.Subquery):
            column.set("table", None)
    return condition


def _anti_join_of_clickhouse(node: exp.Expr) -> exp.Expr:
    """NOT EXISTS in a query becomes an anti join: correlated subqueries are an experiment in ClickHouse."""
    if not isinstance(node, exp.Select) or not node.args.get("where"):
        return node
    stay: list[exp.Expr] = []
    joined: list[exp.Expr] = []
    for part in _conjuncts(node.args["where"].this):
        lacks = isinstance(part, exp.Not) and isinstance(part.this, exp.Exists)
        (joined if lacks else stay).append(part)
    if not joined:
        return node
    node.set("where", exp.Where(this=_conjunction(stay)) if stay else None)
    for part in joined:
        query = part.this.this
        on = _conjunction([each for each in _conjuncts(query.args["where"].this) if not isinstance(each, exp.Boolean)])
        join = exp.Join(this=_read_from(query), on=on, side="LEFT", kind="ANTI")
        node.append("joins", join)
    return node


def _conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    return [part.copy() for part in parts]


def _conjunction(parts: Sequence[exp.Expr]) -> exp.Expr:
    return exp.and_(*parts, copy=False)


def _read_from(query: exp.Expr) -> exp.Expr:
    """Return what *query* reads; it is found first, for the search goes by breadth."""
    source: exp.Expr = next(query.find_all(exp.From)).this
    return source.copy()


# ── the dialects ─────────────────────────────────────────────────────────────────────────────────────────────────────

DIALECTS: Mapping[str, Dialect] = {
    "duckdb": Dialect("duckdb", ddl=True, json_read="CAST({} AS JSON)"),
    "postgres": Dialect(
        "postgres",
        merging=Merging.IN_TURN,
        ddl=True,
        most_columns=330,  # as many as the 8,160 bytes of a row hold
        json_read="CAST({} AS JSONB)",
        file="insert_values",
        as_text=NOT_AS_LITERALS,
        begin="SET LOCAL lock_timeout = '5s'",
    ),
    "snowflake": Dialect(
        "snowflake",
        json_read="PARSE_JSON({})",
        json_text="TO_JSON({})",
        file="parquet",
        rules=(_no_alias_to_delete_from, _no_alias_to_update),
    ),
    "bigquery": Dialect(
        "bigquery",
        json_read="PARSE_JSON({}, wide_number_mode => 'round')",
        json_text="TO_JSON_STRING({})",
        behind_by=" CLUSTER BY {}",
        file="parquet",
        escapes=(("%", "%%"),),
    ),
    "redshift": Dialect(
        "redshift",
        merging=Merging.IN_TURN,
        ddl=True,
        json_read="PARSE_JSON({})",
        json_text="JSON_SERIALIZE({})",
        behind_by=" SORTKEY ({})",
        as_text=NOT_AS_LITERALS,
        rules=(_no_alias_to_delete_from,),
    ),
    "databricks": Dialect(
        "databricks",
        transactions=False,
        behind_by=" CLUSTER BY ({})",
        swap="INSERT OVERWRITE TABLE {table} ({names}) SELECT {names} FROM {fresh}",
        file="parquet",
    ),
    "mssql": Dialect(
        "tsql",
        ddl=True,
        types={Type.JSON: "nvarchar(max)"},
        most_columns=300,
        add="ADD",
        rules=(_no_alias_to_delete_from, _no_alias_to_update, _second_as_text, _unicode),
        end=";",
    ),
    "clickhouse": Dialect(
        "clickhouse",
        merging=Merging.ANEW,
        transactions=False,
        swap="EXCHANGE TABLES {table} AND {fresh}",
        file="parquet",
        types={Type.DATE: "Date32"},
        as_text=(Type.JSON, Type.DATE),
        nullable="Nullable({})",
        behind=" ENGINE = MergeTree ORDER BY tuple()",
        behind_by=" ENGINE = MergeTree ORDER BY {} SETTINGS allow_nullable_key = 1",
        rules=(_instants_of_clickhouse, _delete_of_clickhouse, _anti_join_of_clickhouse, _update_of_clickhouse),
        escapes=((";", "\\x3B"),),
    ),
}
"""By the name that dlt gives a destination."""
