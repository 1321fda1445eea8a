"""`mdp migrate postgres`: a real table of a real server into a real catalog.

January 2024 had 21 NYSE sessions: closed on the 1st (New Year) and the 15th (Martin Luther King) (NYSE holiday calendar 2024). The table holds
the 390 minutes of 09:30 to 15:59 of each.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from market_data_pipeline.catalog import Catalog
from market_data_pipeline.cli.migrate import Conflicts
from market_data_pipeline.ingest.import_csv import OnConflict
from market_data_pipeline_tests.cli.conftest import Mdp
from market_data_pipeline_tests.cli.legacy import AAPL, CLOSED, TWO_DAYS, rows, run
from market_data_pipeline_tests.postgres import PostgresServer
from market_data_pipeline_tests.postgres.bar_tables import libpq, make_legacy

pytestmark = pytest.mark.usefixtures("definitions_of_legacy")


def test_every_row_is_a_bar_that_nautilus_reads_back(migrate: Mdp, postgres_url: str, root: Path) -> None:
    months = dict.fromkeys(("AAPL", "MSFT", "NVDA"), ("2024-01-01", "2024-01-31"))
    assert make_legacy(postgres_url, months, CLOSED) == 3 * 21 * 390
    ended = migrate("--json")
    assert ended.code == 0, ended.err
    answer = ended.json
    assert (answer["rows"], answer["bars_written"], answer["rows_bad"], answer["differences"]) == (24_570, 24_570, 0, 0)
    assert answer["reconciled"]
    assert [one["compared"] for one in answer["symbols"]] == [{"sessions": 21, "bars": 8_190}] * 3
    assert answer["peak_memory_bytes"] > 0
    assert Path(answer["report"]).read_text().startswith("# Migration of public.market_data\n\n**Reconciled: 24,570 rows in the table = 24,570 bars")
    catalog = ParquetDataCatalog(str(root))
    for symbol in months:
        bars = catalog.bars([f"{symbol}.NASDAQ-1-MINUTE-LAST-EXTERNAL"])
        table = rows(
            postgres_url,
            f"SELECT extract(epoch FROM timestamp), open, high, low, close, volume FROM market_data WHERE symbol = '{symbol}' ORDER BY 1",
        )
        ours = [(bar.ts_event, *(Decimal(str(value)) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume))) for bar in bars]
        assert ours == [(int(stamp) * 10**9, *values) for stamp, *values in table]
        assert all(bar.ts_init - bar.ts_event == 60 * 10**9 for bar in bars)
    assert catalog.instruments(instrument_ids=["AAPL.NASDAQ"])[0].price_precision == 2


def test_the_same_command_again_reads_no_row_and_compares_all(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    assert migrate().code == 0
    answer = migrate("--json").json
    assert answer["bars_written"] == 0
    (aapl,) = answer["symbols"]
    assert aapl["sessions"]["equal_before"] == 2
    assert aapl["compared"] == {"sessions": 2, "bars": 780}
    assert answer["reconciled"]


def test_only_what_came_since_is_read(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    migrate()
    run(
        postgres_url,
        "INSERT INTO market_data (symbol, timestamp, open, high, low, close, volume) "
        "SELECT symbol, timestamp + interval '2 days', open, high, low, close, volume FROM market_data",
    )
    answer = migrate("--json").json
    assert (answer["bars_written"], answer["symbols"][0]["sessions"]["equal_before"], answer["reconciled"]) == (780, 2, True)


def _set(change: str, row: int) -> str:
    return f"UPDATE market_data SET {change} WHERE id = {row}"


BAD = {
    _set("low = high + 1", 11): "id 11, low '101.75000000': low > high",
    _set("close = 'NaN'", 12): "id 12, close 'NaN': not a number",
    _set("open = NULL", 13): "id 13, open '': empty field",
    _set("open = open + 0.001", 14): "id 14, open '100.91100000': more decimals than the instrument has (2 in prices, 0 in sizes)",
    _set("timestamp = 'infinity'", 15): "id 15, timestamp 'infinity': missing time stamp",
    _set("timestamp = timestamp + interval '1 second'", 16): "id 16, timestamp '2024-01-02 14:45:01+00': not on a whole minute",
    _set("volume = -5", 17): "id 17, volume '-5': negative volume",
    _set("timestamp = '1960-01-04 15:00+00'", 18): "id 18, timestamp '1960-01-04 15:00:00+00': time before 1970 or after 2199",
    _set("open = 0", 19): "id 19, open '0.00000000': negative or zero price",
}


def test_bad_rows_are_named_by_id_and_refuse_their_symbol_alone(migrate: Mdp, postgres_url: str, root: Path) -> None:
    make_legacy(postgres_url, TWO_DAYS | {"MSFT": TWO_DAYS["AAPL"]}, CLOSED)
    run(postgres_url, *BAD)
    ended = migrate()
    assert ended.code == 1
    assert "public.market_data AAPL: 9 of 780 rows are bad. Nothing of AAPL.NASDAQ was written." in ended.out
    for said in BAD.values():
        assert said in ended.out
    assert "--skip-bad-rows" in ended.out
    assert "The table needs 3 decimals in prices." in ended.out
    assert [series.instrument_id for series in Catalog.open(root).series()] == ["MSFT.NASDAQ"]


def test_skipped_rows_are_listed_and_the_sum_closes(migrate: Mdp, postgres_url: str, root: Path) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    run(postgres_url, *BAD)
    answer = migrate("--skip-bad-rows", "--json").json
    assert (answer["rows"], answer["rows_bad"], answer["symbols"][0]["compared"]["bars"], answer["reconciled"]) == (780, 9, 771, True)
    listed = Path(answer["symbols"][0]["rejects_file"]).read_text().splitlines()
    assert listed[0] == "id,column,rule,value,symbol,time,open,high,low,close,volume"
    assert [line.split(",")[0] for line in listed[1:]] == [str(number) for number in range(11, 20)]
    assert sum(row.rows for row in Catalog.open(root).sessions(AAPL)) == 771
    again = migrate("--skip-bad-rows", "--json").json
    assert (again["bars_written"], again["rows_bad"], again["reconciled"]) == (0, 9, True)


def test_rows_of_one_time_are_bad_where_no_index_forbids_them(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    run(
        postgres_url,
        "ALTER TABLE market_data DROP CONSTRAINT market_data_symbol_timestamp_key",
        "INSERT INTO market_data (symbol, timestamp, open, high, low, close, volume) "
        "SELECT symbol, timestamp, open, high, low, close, volume FROM market_data WHERE id = 5",
        "INSERT INTO market_data (symbol, timestamp, open, high, low, close, volume) "
        "SELECT symbol, timestamp, open, high, low, close, volume + 1 FROM market_data WHERE id = 9",
    )
    ended = migrate()
    assert "3 of 782 rows are bad" in ended.out
    assert "repeated time stamp with other values" in ended.out
    assert "has no index that begins with (symbol, timestamp)" in ended.out
    answer = migrate("--skip-bad-rows", "--json").json
    assert (answer["rows"], answer["rows_bad"], answer["symbols"][0]["compared"]["bars"], answer["reconciled"]) == (782, 3, 779, True)


def test_a_difference_is_an_error_that_names_symbol_day_and_both_values(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    migrate()
    # The 10th row of the second session: it opens at 09:39 New York, and closes at 14:40 UTC.
    before = rows(postgres_url, "SELECT close FROM market_data WHERE id = 400")[0][0]
    run(postgres_url, "UPDATE market_data SET close = close - 0.01 WHERE id = 400")
    ended = migrate("--on-conflict", "skip", "--mark-deprecated")
    assert ended.code == 1
    (line,) = [line for line in ended.out.splitlines() if line.startswith("differs")]
    assert line.startswith("differs AAPL 2024-01-03: sum of close ")
    assert "bar closing 2024-01-03T14:40:00 UTC" in line
    assert f"close {before - Decimal('0.01'):.2f}, volume" in line.split(" in the table, open")[0]
    assert f"close {before:.2f}, volume" in line.split(" in the table, open")[1]
    assert "NOT reconciled: 1 session differs" in ended.out
    assert "was not marked as deprecated: not everything was reconciled" in ended.out
    assert migrate("--on-conflict", "overwrite").code == 0


def test_swapped_values_that_leave_all_sums_equal_are_a_difference(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    migrate()
    run(
        postgres_url,
        "UPDATE market_data a SET volume = b.volume FROM market_data b WHERE (a.id, b.id) IN ((20, 30), (30, 20))",
    )
    ended = migrate("--on-conflict", "skip")
    assert ended.code == 1
    assert "differs AAPL 2024-01-02: values MD5 " in ended.out


def test_conflicts_ask_and_stop_where_nobody_answers(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    migrate()
    run(postgres_url, "UPDATE market_data SET close = close - 0.01 WHERE id = 400")
    ended = migrate()
    assert ended.code == 3
    assert "1 of the table's sessions is stored with other bars: 2024-01-03" in ended.out
    assert "Choose --prefer stored or --prefer table" in migrate("--on-conflict", "merge").out


def test_a_role_that_may_only_select_is_enough(mdp: Mdp, postgres_server: PostgresServer, postgres_url: str, root: Path) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    run(postgres_url, "DROP ROLE IF EXISTS mdp_reader", "CREATE ROLE mdp_reader LOGIN PASSWORD 'sesame'", "GRANT SELECT ON market_data TO mdp_reader")
    state = "SELECT xmin::text, ctid::text, * FROM market_data ORDER BY id"
    before = rows(postgres_url, state)
    url = libpq(postgres_url).replace("//postgres:", "//mdp_reader:").replace("//postgres@", "//mdp_reader@")
    ended = mdp("migrate", "postgres", url, "--venue", "NASDAQ", "--catalog", root, "--mark-deprecated")
    assert ended.code == 0, ended.err
    assert rows(postgres_url, state) == before
    assert "user 'mdp_reader' does not own the table" in ended.out
    assert "COMMENT ON TABLE" in ended.out
    run(postgres_url, "REVOKE SELECT ON market_data FROM mdp_reader")
    ended = mdp("migrate", "postgres", url, "--venue", "NASDAQ", "--catalog", root)
    assert ended.code == 1
    assert "GRANT SELECT ON public.market_data TO mdp_reader;" in ended.err
    run(postgres_url, "DROP OWNED BY mdp_reader", "DROP ROLE mdp_reader")


def test_the_mark_says_where_the_bars_went_and_keeps_what_stood_there(migrate: Mdp, postgres_url: str, root: Path) -> None:
    make_legacy(postgres_url, TWO_DAYS | {"MSFT": TWO_DAYS["AAPL"]}, CLOSED)
    run(postgres_url, "COMMENT ON TABLE market_data IS 'prices of the old loader'")
    comment = "SELECT obj_description('market_data'::regclass)"
    assert "was not marked as deprecated: rows were left out (MSFT)" in migrate("--symbols", "AAPL", "--mark-deprecated").out
    assert "only some dates were asked for" in migrate("--end", "2024-01-02", "--mark-deprecated").out
    assert "this was a dry run" in migrate("--dry-run", "--mark-deprecated").out
    assert migrate().code == 0
    assert rows(postgres_url, comment) == [("prices of the old loader",)]
    for _ in range(2):
        assert migrate("--mark-deprecated").code == 0
        first, second = rows(postgres_url, comment)[0][0].split("\n")
        assert first.startswith("DEPRECATED: the 1,560 rows of this table were migrated on ")
        assert str(root) in first
        assert second == "prices of the old loader"


def test_a_password_is_shown_nowhere(mdp: Mdp, postgres_server: PostgresServer, postgres_url: str, root: Path) -> None:
    run(postgres_url, "DROP ROLE IF EXISTS mdp_secretive", "CREATE ROLE mdp_secretive LOGIN PASSWORD 'sesame'")
    postgres_server.require_password("mdp_secretive")
    host = libpq(postgres_url).split("@", 1)[1]
    for password in ("wrong-sesame", ""):
        ended = mdp("migrate", "postgres", f"postgresql://mdp_secretive:{password}@{host}", "--venue", "NASDAQ", "--catalog", root)
        assert ended.code == 1
        assert "does not let us in" in ended.err
        assert "~/.pgpass" in ended.err
        assert "wrong-sesame" not in ended.out + ended.err
    ended = mdp("migrate", "postgres", "postgresql://me:wrong-sesame@127.0.0.1:1/prices", "--venue", "NASDAQ", "--catalog", root)
    assert ended.code == 1
    assert "No PostgreSQL answered at 127.0.0.1:1 (database prices, user me)" in ended.err
    assert "wrong-sesame" not in ended.out + ended.err
    assert "can be seen by everybody" in ended.err


@pytest.mark.parametrize("url", ["mysql://me:sesame@db/prices", "just-words-sesame", "host=db sesame"])
def test_what_is_no_url_is_said_without_repeating_it(mdp: Mdp, root: Path, url: str) -> None:
    ended = mdp("migrate", "postgres", url, "--venue", "NASDAQ", "--catalog", root)
    assert ended.code == 2
    assert "postgresql://USER@HOST:5432/DATABASE" in ended.err
    assert "sesame" not in ended.out + ended.err


def test_symbols_without_an_instrument_are_listed_with_what_to_write(migrate: Mdp, postgres_url: str, root: Path) -> None:
    make_legacy(postgres_url, TWO_DAYS | {"MSFT": TWO_DAYS["AAPL"], "OLD CO": TWO_DAYS["AAPL"]}, CLOSED)
    Path("map.yaml").write_text("symbols:\n  AAPL: AAPL.NASDAQ\n")
    ended = migrate("--map", "map.yaml")
    assert ended.code == 3
    assert '  "MSFT": "MSFT.NASDAQ"\n  "OLD CO": "OLD CO.NASDAQ"' in ended.err
    assert not Catalog.open(root).series()
    Path("map.yaml").write_text('symbols:\n  AAPL: AAPL.NASDAQ\n  "OLD CO": null\n')
    ended = migrate("--map", "map.yaml", "--venue", "NASDAQ")
    assert ended.code == 0
    assert "left out: OLD CO (780 rows)" in ended.out
    Path("map.yaml").write_text('symbols:\n  AAPL: AAPL.NASDAQ\n  MSFT: AAPL.NASDAQ\n  "OLD CO": null\n')
    ended = migrate("--map", "map.yaml")
    assert ended.code == 2
    assert "AAPL, MSFT are all mapped to AAPL.NASDAQ" in ended.err


def test_an_instrument_without_a_definition_is_told_with_the_yaml(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, {"TSLA": TWO_DAYS["AAPL"], **TWO_DAYS}, CLOSED)
    ended = migrate()
    assert ended.code == 1
    assert '  - id: "TSLA.NASDAQ"' in ended.out
    assert "1 of 2 symbols was refused" in ended.out


def test_names_and_symbols_are_never_read_as_sql(migrate: Mdp, postgres_url: str) -> None:
    evil = "x'; DROP TABLE y;--"
    make_legacy(postgres_url, {evil: TWO_DAYS["AAPL"]}, CLOSED, table='Odd "name"; --')
    Path("map.yaml").write_text(f'symbols:\n  "{evil}": AAPL.NASDAQ\n')
    ended = migrate("--map", "map.yaml", "--table", '"Odd ""name""; --"', "--mark-deprecated")
    assert ended.code == 0, ended.err
    assert rows(postgres_url, """SELECT count(*) FROM "Odd ""name""; --" """) == [(780,)]
    ended = migrate("--table", "market_data; DROP TABLE market_data")
    assert ended.code == 2
    ended = migrate("--table", "market_data")
    assert ended.code == 2
    assert 'Tables with open, high, low and close: public.Odd "name"; --' in ended.err


def test_a_dry_run_stores_nothing(migrate: Mdp, postgres_url: str, root: Path) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    ended = migrate("--dry-run")
    assert ended.code == 0
    assert "Dry run, nothing was stored: 780 rows, 0 of them bad, 0 symbols refused." in ended.out
    assert not root.exists() or not list(root.rglob("*.parquet"))


def test_dates_and_symbols_narrow_it(migrate: Mdp, postgres_url: str, root: Path) -> None:
    make_legacy(postgres_url, {"AAPL": ("2024-01-02", "2024-01-05"), "MSFT": ("2024-01-02", "2024-01-05")}, CLOSED)
    answer = migrate("--symbols", "AAPL", "--start", "2024-01-03", "--end", "2024-01-04", "--json").json
    assert (answer["rows"], answer["bars_written"], answer["reconciled"]) == (780, 780, True)
    assert answer["left_out"] == {"MSFT": 1_560}
    assert [str(row.session) for row in Catalog.open(root).sessions(AAPL)] == ["2024-01-03", "2024-01-04"]
    assert "The table has no symbol IBM. It has AAPL, MSFT." in migrate("--symbols", "IBM").err


def test_a_hole_makes_a_session_partial(migrate: Mdp, postgres_url: str) -> None:
    make_legacy(postgres_url, TWO_DAYS, CLOSED)
    run(postgres_url, "DELETE FROM market_data WHERE id BETWEEN 100 AND 200")
    assert migrate("--json").json["symbols"][0]["partial_sessions"] == ["2024-01-02"]
    assert migrate("--accept-holes", "--json").json["symbols"][0]["partial_sessions"] == []


def test_the_options_are_the_use_cases_own() -> None:
    assert set(get_args(Conflicts)) == set(OnConflict)
