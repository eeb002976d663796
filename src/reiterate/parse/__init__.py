"""From a raw file to a typed relation: names, types, variants, identity. The same for every sink."""

from __future__ import annotations

from reiterate.parse.columns import first_columns
from reiterate.parse.pieces import Pieces
from reiterate.parse.relation import Parser

__all__ = ["Parser", "Pieces", "first_columns"]
