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
    from collections.abc import Callable, Mapping

    Rule = Callable[[exp.Expression], exp.Expression]


class Merging(Enum):
    """How rows are changed and added."""

    AT_ONCE = "by one MERGE"
    IN_TURN = "by UPDATE, then INSERT"
    ANEW = "by DELETE, then INSERT"


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
    nullable: str = "{}"
    engine: str = ""
    add: str = "ADD COLUMN"
    rules: tuple[Rule, ...] = ()
    escapes: tuple[tuple[str, str], ...] = ()
    """what the driver would take for something else"""
    end: str = ""

    def translate(self, statement: str) -> str:
        tree: exp.Expression = sqlglot.parse_one(statement, read="postgres")
        for rule in (_plain_inequality, *self.rules):
            tree = tree.transform(rule)
        text = tree.sql(dialect=self.name, identify=True)
        for plain, escaped in self.escapes:
            text = text.replace(plain, escaped)
        return f"{text}{self.end}"


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _plain_inequality(node: exp.Expression) -> exp.Expression:
    """IS DISTINCT FROM, for those who do not know it; as a condition, unknown is as good as false."""
    if not isinstance(node, exp.NullSafeNEQ):
        return node
    left, right = node.left, node.right
    only_left = exp.and_(_is_null(right), exp.not_(_is_null(left)))
    only_right = exp.and_(_is_null(left), exp.not_(_is_null(right)))
    return exp.paren(exp.or_(exp.NEQ(this=left.copy(), expression=right.copy()), only_left, only_right))


def _is_null(value: exp.Expression) -> exp.Expression:
    return exp.Is(this=value.copy(), expression=exp.Null())


def _no_alias_to_delete_from(node: exp.Expression) -> exp.Expression:
    """DELETE knows its table by its own name, where it takes no alias."""
    if isinstance(node, exp.Delete) and (alias := node.this.alias):
        for column in node.find_all(exp.Column):
            if column.table == alias:
                column.set("table", node.this.this.copy())
        node.this.set("alias", None)
    return node


def _unicode(node: exp.Expression) -> exp.Expression:
    """Text of any language is NVARCHAR, as long as it may be."""
    if isinstance(node, exp.Literal) and node.is_string:
        return exp.National(this=node.this)
    if isinstance(node, exp.DataType) and node.this in exp.DataType.TEXT_TYPES:
        return exp.DataType.build("NVARCHAR(MAX)", dialect="tsql")
    return node


# ── ClickHouse ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _instants_of_clickhouse(node: exp.Expression) -> exp.Expression:
    """Return an instant to the microsecond: a plain cast would end at the second."""
    if isinstance(node, exp.Cast) and node.to.is_type("timestamptz"):
        return exp.cast(node.this, "DateTime64(6, 'UTC')", dialect="clickhouse")
    return node


def _update_of_clickhouse(node: exp.Expression) -> exp.Expression:
    """Rows change by a mutation, and the statement ends when it has."""
    if not isinstance(node, exp.Update):
        return node
    target, changes, where = (
        part.sql(dialect="clickhouse", identify=True)
        for part in (node.this, exp.Tuple(expressions=node.expressions), node.args["where"])
    )
    return exp.Command(this="ALTER", expression=f"TABLE {target} UPDATE {changes[1:-1]} {where} SETTINGS mutations_sync = 1")


def _delete_of_clickhouse(node: exp.Expression) -> exp.Expression:
    """[NOT] EXISTS in a DELETE becomes [NOT] IN: ClickHouse has no correlated subqueries there."""
    if not isinstance(node, exp.Delete):
        return node
    target, where = node.this, node.args["where"].this
    for exists in list(where.find_all(exp.Exists)):
        exists.replace(_membership(exists.this, target))
    where = _conjunction([_unqualified(part, target.alias) for part in _conjuncts(where)])
    bare = target.copy()
    bare.set("alias", None)
    return exp.Delete(this=bare, where=exp.Where(this=where))


def _membership(query: exp.Expression, target: exp.Expression) -> exp.Expression:
    """Return the condition that a row of *target* has its like in *query*, whose conditions are equalities first."""
    conditions = _conjuncts(query.args["where"].this)
    same = [part for part in conditions if isinstance(part, exp.EQ)]
    rest = [part for part in conditions if not isinstance(part, exp.EQ)]
    inner = exp.select(*(part.right.copy() for part in same)).from_(query.args["from_"].this.copy())
    if rest:
        inner = inner.join(target.copy(), on=_conjunction(same), join_type="inner").where(_conjunction(rest))
    left = exp.Tuple(expressions=[_unqualified(part.left.copy(), target.alias) for part in same])
    return exp.In(this=left, query=exp.Subquery(this=inner))


def _unqualified(condition: exp.Expression, alias: str) -> exp.Expression:
    for column in condition.find_all(exp.Column):
        if column.table == alias and not column.find_ancestor(exp.Subquery):
            column.set("table", None)
    return condition


def _anti_join_of_clickhouse(node: exp.Expression) -> exp.Expression:
    """NOT EXISTS in a query becomes an anti join: correlated subqueries are an experiment in ClickHouse."""
    if not isinstance(node, exp.Select) or not node.args.get("where"):
        return node
    stay, joined = [], []
    for part in _conjuncts(node.args["where"].this):
        lacks = isinstance(part, exp.Not) and isinstance(part.this, exp.Exists)
        (joined if lacks else stay).append(part)
    if not joined:
        return node
    node.set("where", exp.Where(this=_conjunction(stay)) if stay else None)
    for part in joined:
        query = part.this.this
        on = _conjunction([each for each in _conjuncts(query.args["where"].this) if not isinstance(each, exp.Boolean)])
        join = exp.Join(this=query.args["from_"].this.copy(), on=on, side="LEFT", kind="ANTI")
        node.append("joins", join)
    return node


def _conjuncts(condition: exp.Expression) -> list[exp.Expression]:
    parts = list(condition.flatten()) if isinstance(condition, exp.And) else [condition]
    return [part.copy() for part in parts]


def _conjunction(parts: list[exp.Expression]) -> exp.Expression:
    return exp.and_(*parts, copy=False)


# ── the dialects ─────────────────────────────────────────────────────────────────────────────────────────────────────

DIALECTS: Mapping[str, Dialect] = {
    "duckdb": Dialect("duckdb", ddl=True, json_read="CAST({} AS JSON)"),
    "postgres": Dialect("postgres", merging=Merging.IN_TURN, ddl=True, json_read="CAST({} AS JSONB)"),
    "snowflake": Dialect(
        "snowflake",
        json_read="PARSE_JSON({})",
        json_text="TO_JSON({})",
        rules=(_no_alias_to_delete_from,),
    ),
    "bigquery": Dialect(
        "bigquery",
        json_read="PARSE_JSON({}, wide_number_mode => 'round')",
        json_text="TO_JSON_STRING({})",
        escapes=(("%", "%%"),),
    ),
    "redshift": Dialect(
        "redshift",
        merging=Merging.IN_TURN,
        ddl=True,
        json_read="PARSE_JSON({})",
        json_text="JSON_SERIALIZE({})",
        rules=(_no_alias_to_delete_from,),
    ),
    "databricks": Dialect("databricks", transactions=False),
    "mssql": Dialect(
        "tsql",
        ddl=True,
        types={Type.JSON: "nvarchar(max)"},
        add="ADD",
        rules=(_no_alias_to_delete_from, _unicode),
        end=";",
    ),
    "clickhouse": Dialect(
        "clickhouse",
        merging=Merging.ANEW,
        transactions=False,
        nullable="Nullable({})",
        engine=" ENGINE = MergeTree ORDER BY tuple()",
        rules=(_instants_of_clickhouse, _delete_of_clickhouse, _anti_join_of_clickhouse, _update_of_clickhouse),
        escapes=((";", "\\x3B"),),
    ),
}
"""By the name that dlt gives a destination."""
