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
    driver: str = ""
    """the module by which dlt speaks to it"""


SCHEMES: Mapping[str, Scheme] = {
    "duckdb": Scheme("duckdb:///FILE"),
    "postgresql": Scheme("postgresql://[USER:PASSWORD@]HOST/DATABASE", "postgres"),
    "snowflake": Scheme(
        "snowflake://USER:PASSWORD@ACCOUNT/DATABASE?warehouse=NAME", "snowflake", "snowflake", "snowflake.connector"
    ),
    "bigquery": Scheme("bigquery://PROJECT?location=EU", "bigquery", "bigquery", "google.cloud.bigquery"),
    "redshift": Scheme("redshift://USER:PASSWORD@HOST/DATABASE", "redshift", "redshift", "psycopg2"),
    "databricks": Scheme(
        "databricks://token:TOKEN@HOST/CATALOG?http_path=PATH", "databricks", "databricks", "databricks.sql"
    ),
    "clickhouse": Scheme("clickhouse://USER:PASSWORD@HOST/DATABASE", "clickhouse", "clickhouse", "clickhouse_driver"),
    "mssql": Scheme("mssql://USER:PASSWORD@HOST/DATABASE", "mssql", "mssql", "pyodbc"),
    "file": Scheme("file:///DIRECTORY[?format=parquet|delta|iceberg]"),
    "s3": Scheme("s3://BUCKET[/PREFIX][?format=parquet|delta|iceberg&endpoint=URL&region=NAME]", "s3"),
    "gs": Scheme("gs://BUCKET[/PREFIX][?format=parquet|delta|iceberg]", "gs"),
    "az": Scheme("az://CONTAINER[/PREFIX][?format=parquet|delta|iceberg]", "az"),
    "md": Scheme("md:DATABASE", "motherduck"),
    "ducklake": Scheme("ducklake:CATALOG[?data_path=DIRECTORY]", "ducklake"),
}
ALIASES: Mapping[str, str] = {"postgres": "postgresql", "motherduck": "md"}
