"""The legacy table that the tests of `mdp migrate postgres` begin with."""

from __future__ import annotations

from typing import Any

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline_tests.postgres.bar_tables import session

CLOSED = ["2024-01-01", "2024-01-15"]
TWO_DAYS = {"AAPL": ("2024-01-02", "2024-01-03")}
AAPL = Series.of("AAPL.NASDAQ", "1-MINUTE-LAST")
INSTRUMENTS = "instruments:\n" + "".join(
    f'  - {{id: "{symbol}.NASDAQ", type: equity, currency: USD, price_precision: 2}}\n' for symbol in ("AAPL", "MSFT", "NVDA")
)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with session(url) as connection:
        return connection.execute(query).fetchall()


def run(url: str, *statements: str) -> None:
    with session(url) as connection:
        for statement in statements:
            connection.execute(statement)
