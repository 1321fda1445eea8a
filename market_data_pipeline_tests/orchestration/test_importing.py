"""The job `import_csv` on a real instance. January 2024 had 21 NYSE sessions of 78 five-minute bars (NYSE holiday calendar 2024)."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.orchestration.importing import ImportCsv
from market_data_pipeline_tests.orchestration.conftest import Project, write_csv
from market_data_pipeline_tests.orchestration.page import ENDED, dagster_dev, wait_until
from market_data_pipeline_tests.orchestration.test_bars import BARS, failure_of
from market_data_pipeline_tests.orchestration.test_jobs import execute

AAPL = Series.of("AAPL.NASDAQ", "5-MINUTE-LAST")
FILE = "csv/AAPL.NASDAQ-5-MINUTE-LAST.csv"
_RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run { status eventConnection(limit: 1000) { events {
  ... on ExecutionStepOutputEvent { stepKey metadataEntries { label ... on IntMetadataEntry { intValue } } } } } } } }"""
CONFIG = {"files": [FILE], "instrument": "AAPL.NASDAQ", "bar": "5-MINUTE-LAST", "time_zone": "America/New_York", "stamp": "open"}


def run(project: Project, **config: object) -> dg.ExecuteInProcessResult:
    """Run the job as the launchpad does."""
    job = project.definitions.resolve_job_def("import_csv")
    return job.execute_in_process(run_config=CONFIG | config, instance=project.instance, raise_on_error=False)


def told(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return the metadata of the step."""
    (event,) = [event for event in result.all_events if event.is_successful_output]
    return {name: value.value for name, value in event.step_output_data.metadata.items()}


def records(table: Any) -> list[dict[str, Any]]:
    return [record.data for record in table.records]


def test_files_are_stored_and_each_session_is_shown_at_its_bars(project: Project) -> None:
    result = run(project)
    assert result.success
    fields = told(result)
    assert (fields["bars_written"], fields["rows_read"], fields["rows_bad"]) == (21 * 78, 21 * 78, 0)
    assert (fields["sessions_stored"], fields["sessions_unchanged"], fields["sessions_partial"], fields["definition"]) == (21, 0, 0, "new")
    rows = records(fields["sessions"])
    assert len(rows) == 21
    assert rows[0] == {"session": "2024-01-02", "outcome": "stored", "bars": 78, "coverage": "complete"}
    assert "1,638 bars written, of 1,638 rows read; 21 sessions, 2024-01-02 to 2024-01-31." in fields["report"]
    assert fields["read_as"].startswith("layout generic, times of America/New_York, stamps are bar opens; ")
    assert "## Read as" in fields["report"]
    assert fields["coverage"].startswith("![coverage of AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL](data:image/png;base64,")
    assert fields["shown_at"] == dg.AssetKey(["stocks", "bars_5_minute_last"])
    shown = project.shown(BARS)
    assert len(shown) == 21
    assert shown["2024-01-31|AAPL.NASDAQ"].metadata["outcome"].value == "stored by import_csv"
    assert project.catalog.instruments.ids() == ["AAPL.NASDAQ"]


def test_the_same_again_changes_nothing_and_shows_nothing_twice(project: Project) -> None:
    assert run(project).success
    before = len(project.instance.fetch_materializations(dg.AssetKey(BARS.split("/")), limit=1000).records)
    fields = told(run(project))
    assert (fields["sessions_stored"], fields["sessions_unchanged"], fields["bars_written"]) == (0, 21, 0)
    assert len(project.instance.fetch_materializations(dg.AssetKey(BARS.split("/")), limit=1000).records) == before


def test_a_dry_run_reports_and_stores_nothing(project: Project) -> None:
    fields = told(run(project, dry_run=True))
    assert (fields["sessions_stored"], fields["bars_written"], fields["dry_run"]) == (21, 1638, True)
    assert fields["report"].startswith("# Dry run of the import of AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL")
    assert not (project.root / "catalog").exists()
    assert project.shown(BARS) == {}


def test_what_the_configuration_leaves_out_is_told_by_evidence_or_asked_for(project: Project) -> None:
    """Bars from 09:30 to 15:55 in New York fill the regular hours of NYSE if they are stamped at their opens; two bars at noon tell nothing."""
    fields = told(run(project, time_zone="", stamp="", dry_run=True))
    assert fields["read_as"].startswith("layout generic, times of America/New_York, stamps are bar opens; ")
    (project.root / "noon.csv").write_text("timestamp,open,high,low,close,volume\n2024-01-05 12:00:00,1,1,1,1,1\n2024-01-05 12:05:00,1,1,1,1,1\n")
    message = failure_of(run(project, files=["noon.csv"], time_zone="", stamp=""))
    assert message.startswith("QuestionUnanswered: noon.csv: ")
    assert "--stamp" in message
    assert project.catalog.series() == []


def test_conflicts_fail_the_run_unless_it_is_said_what_to_do(project: Project) -> None:
    assert run(project).success
    path = project.root / FILE
    lines = path.read_text().splitlines()
    row = lines[1].split(",")
    lines[1] = ",".join([*row[:-1], "7"])
    path.write_text("\n".join(lines) + "\n")
    message = failure_of(run(project))
    assert message.startswith("ConflictingBars: 1 of the file's sessions is stored with other bars: 2024-01-02.")
    assert "Nothing was written" in message
    fields = told(run(project, on_conflict="overwrite"))
    assert (fields["sessions_replaced"], fields["sessions_unchanged"]) == (1, 20)
    assert project.shown(BARS)["2024-01-02|AAPL.NASDAQ"].metadata["outcome"].value == "replaced by import_csv"
    assert int(project.catalog.read_session(AAPL, dt.date(2024, 1, 2)).volume[0]) == 7


def test_bad_rows_fail_the_run_or_are_set_aside(project: Project) -> None:
    path = project.root / FILE
    path.write_text(path.read_text() + "2024-01-31 16:00:00,1,x,1,1,1\n")
    assert failure_of(run(project)).startswith("BadRows: AAPL.NASDAQ-5-MINUTE-LAST.csv: 1 of 1,639 rows is bad. Nothing was written.")
    assert project.catalog.series() == []
    fields = told(run(project, skip_bad_rows=True))
    assert (fields["rows_bad"], fields["sessions_stored"]) == (1, 21)
    rejects = Path(fields["rejects_file"])
    assert rejects.is_relative_to(project.root / "catalog" / "rejects")
    assert "not a number" in rejects.read_text()


def test_gaps_between_the_sessions_are_told(project: Project) -> None:
    write_csv(project.root / FILE, "AAPL.NASDAQ", without=(dt.date(2024, 1, 17), dt.date(2024, 1, 18)))
    fields = told(run(project))
    assert records(fields["gaps"]) == [{"first": "2024-01-17", "last": "2024-01-18", "sessions": 2}]
    assert "| 2024-01-17 | 2024-01-18 | 2 |" in fields["report"]


def test_what_no_universe_has_is_stored_and_the_report_says_that_it_is_shown_nowhere(project: Project) -> None:
    shutil.copy(project.root / FILE, project.root / "more.csv")
    (project.root / "more.yaml").write_text('instruments:\n  - {id: "NVDA.NASDAQ", type: equity, currency: USD, price_precision: 2}\n')
    fields = told(run(project, files=["more.csv"], instrument="NVDA.NASDAQ", instruments="more.yaml"))
    assert (fields["sessions_stored"], fields["shown_at"].startswith("No universe of the watchlist has these bars")) == (21, True)
    assert project.shown(BARS) == {}


def test_sessions_outside_the_universes_dates_are_stored_and_not_shown(project: Project) -> None:
    """The universe begins on 2024-01-02; December 2023 had 20 NYSE sessions (NYSE holiday calendar 2023)."""
    write_csv(project.root / "december.csv", "AAPL.NASDAQ", (dt.date(2023, 12, 1), dt.date(2023, 12, 29)))
    fields = told(run(project, files=["december.csv", FILE]))
    assert fields["sessions_stored"] == 41
    assert len(project.shown(BARS)) == 21


def test_wildcards_name_several_files(project: Project) -> None:
    for number, days in enumerate(((dt.date(2024, 1, 2), dt.date(2024, 1, 12)), (dt.date(2024, 1, 16), dt.date(2024, 1, 31)))):
        write_csv(project.root / "parts" / f"part{number}.csv", "AAPL.NASDAQ", days)
    assert told(run(project, files=["parts/part*.csv"]))["sessions_stored"] == 21


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"files": []}, "ConfigurationError: files: names no file"),
        ({"files": ["nope.csv"]}, "SourceUnavailable: files: there is no nope.csv (looked below "),
        ({"files": ["nope*.csv"]}, "SourceUnavailable: files: there is no nope*.csv"),
        ({"instrument": "AAPL"}, "InvalidInstrumentId: 'AAPL' is not an instrument id"),
        ({"instrument": "AAPL.NOWHERE"}, "UnknownVenue: "),
        ({"instrument": "TSLA.NASDAQ"}, "InstrumentNotFound: There is no definition of TSLA.NASDAQ"),
        ({"bar": "5-MINUTES"}, "InvalidBarType: '5-MINUTES' is not a bar spec"),
        ({"layout": "mine"}, "ConfigurationError: No CSV layout is called 'mine'"),
        ({"time_zone": "Mars"}, "ConfigurationError: 'Mars' is no IANA time zone"),
    ],
)
def test_what_cannot_be_meant_is_one_message_and_stores_nothing(project: Project, config: dict[str, object], said: str) -> None:
    assert failure_of(run(project, **config)).startswith(said)
    assert project.catalog.series() == []


@pytest.mark.parametrize(("field", "value"), [("on_conflict", "ask"), ("prefer", "newest"), ("stamp", "middle")])
def test_a_choice_that_there_is_not_is_refused_before_a_run_exists(project: Project, field: str, value: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=field):
        run(project, **{field: value})


def test_the_command_line_runs_it_with_a_file_of_configuration(project: Project) -> None:
    (project.root / "import.json").write_text(json.dumps(CONFIG))
    ended = execute(project, "import_csv", project.root / "home", "-c", str(project.root / "import.json"))
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert len(project.catalog.sessions(AAPL)) == 21
    assert len(project.shown(BARS)) == 21
    assert "sessions 21 stored; 1,638 bars of 1,638 rows." in ended.stderr
    (project.root / "import.json").write_text(json.dumps(CONFIG | {"files": ["nope.csv"]}))
    refused = execute(project, "import_csv", project.root / "home", "-c", str(project.root / "import.json"))
    assert refused.returncode != 0
    assert "SourceUnavailable: files: there is no nope.csv" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_graphql_launches_it_and_the_page_shows_its_report(project: Project) -> None:
    with dagster_dev(project.root / "home", project.settings) as page:
        started = page.launch("import_csv", config=CONFIG)
        wait_until(lambda: page.ask(_RUN, {"id": started})["runOrError"]["status"] in ENDED)
        answer = page.ask(_RUN, {"id": started})["runOrError"]
    assert answer["status"] == "SUCCESS"
    (entries,) = [event["metadataEntries"] for event in answer["eventConnection"]["events"] if event.get("stepKey") == "import_bars"]
    numbers = {entry["label"]: entry["intValue"] for entry in entries if "intValue" in entry}
    assert (numbers["sessions_stored"], numbers["bars_written"]) == (21, 1638)
    assert len(project.shown(BARS)) == 21


def test_only_files_instrument_and_bar_have_to_be_said() -> None:
    needed = {name for name, field in ImportCsv.model_fields.items() if field.is_required()}
    assert needed == {"files", "instrument", "bar"}


def test_files_named_by_symbol_are_imported_several_at_once(project: Project) -> None:
    for symbol in ("AAPL", "MSFT"):
        shutil.copy(project.root / "csv" / f"{symbol}.NASDAQ-5-MINUTE-LAST.csv", project.root / f"{symbol}-2024.csv")
    result = run(project, files=["*-2024.csv"], instrument="{symbol}.NASDAQ", jobs=2)
    assert result.success
    fields = told(result)
    assert (fields["series_imported"], fields["series_failed"], fields["bars_written"]) == (2, 0, 2 * 21 * 78)
    assert [(row["series"], row["stored"], row["bars"], row["gaps"]) for row in records(fields["series"])] == [
        ("AAPL.NASDAQ-5-MINUTE-LAST-EXTERNAL", 21, 1638, 0),
        ("MSFT.NASDAQ-5-MINUTE-LAST-EXTERNAL", 21, 1638, 0),
    ]
    assert fields["report"].count("# Import of ") == 2
    shown = project.shown(BARS)
    assert len(shown) == 2 * 21
    assert shown["2024-01-31|MSFT.NASDAQ"].metadata["outcome"].value == "stored by import_csv"


def test_one_series_that_fails_fails_the_run_and_not_the_others(project: Project) -> None:
    for symbol in ("AAPL", "MSFT"):
        shutil.copy(project.root / "csv" / f"{symbol}.NASDAQ-5-MINUTE-LAST.csv", project.root / f"{symbol}-2024.csv")
    bad = project.root / "AAPL-2024.csv"
    bad.write_text(bad.read_text().replace("2024-01-02 09:30:00,180.00", "2024-01-02 09:30:00,-180.00"))
    result = run(project, files=["*-2024.csv"], instrument="{symbol}.NASDAQ", jobs=2)
    assert not result.success
    assert "BadRows" in failure_of(result)
    assert {key.partition("|")[2] for key in project.shown(BARS)} == {"MSFT.NASDAQ"}
