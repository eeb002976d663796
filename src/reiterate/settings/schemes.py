"""The kinds of destination, by the scheme of their URL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Scheme:
    """What a URL looks like, and the extra (``pip install 'reiterate[EXTRA]'``) that brings what it needs."""

    form: str
    extra: str = ""
    warehouse: str = ""
    """dlt's name for it, where dlt is the way in; then the URL may be as bare as ``snowflake://``"""


SCHEMES: Mapping[str, Scheme] = {
    "duckdb": Scheme("duckdb:///FILE"),
    "postgresql": Scheme("postgresql://[USER:PASSWORD@]HOST/DATABASE", "postgres"),
    "snowflake": Scheme("snowflake://USER:PASSWORD@ACCOUNT/DATABASE?warehouse=NAME", "snowflake", "snowflake"),
    "bigquery": Scheme("bigquery://PROJECT?location=EU", "bigquery", "bigquery"),
    "redshift": Scheme("redshift://USER:PASSWORD@HOST/DATABASE", "redshift", "redshift"),
    "databricks": Scheme("databricks://token:TOKEN@HOST/CATALOG?http_path=PATH", "databricks", "databricks"),
    "clickhouse": Scheme("clickhouse://USER:PASSWORD@HOST/DATABASE", "clickhouse", "clickhouse"),
    "mssql": Scheme("mssql://USER:PASSWORD@HOST/DATABASE", "mssql", "mssql"),
    "md": Scheme("md:DATABASE", "motherduck"),
    "ducklake": Scheme("ducklake:CATALOG[?data_path=DIRECTORY]", "ducklake"),
}
ALIASES: Mapping[str, str] = {"postgres": "postgresql", "motherduck": "md"}
