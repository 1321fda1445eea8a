"""What keeps a backtest from running: a blocking check of its bars that fails.

Dagster's own blocking works inside one run, and bars and backtests never share one: their partitions cannot be mixed. So a backtest asks for
itself: what do the newest evaluations say of its series, and what do its bars look like now?
"""

# No `from __future__ import annotations`: kept the same in all modules that touch Dagster's decorated functions.

from collections.abc import Collection
from typing import TYPE_CHECKING

import dagster as dg

from market_data_pipeline.domain.bar_types import Series
from market_data_pipeline.domain.errors import ChecksFailed
from market_data_pipeline.orchestration.bars import bars_key_of
from market_data_pipeline.orchestration.checks import FAILING, READ_BACK, blocking_specs, look_at_bars
from market_data_pipeline.watchlist import Watchlist

if TYPE_CHECKING:
    from market_data_pipeline.backtest import BacktestSpec
    from market_data_pipeline.catalog import Catalog

_SHOWN = 5


def refuse_where_checks_fail(instance: dg.DagsterInstance, catalog: "Catalog", watchlist: Watchlist, spec: "BacktestSpec") -> None:
    """Refuse a backtest where a blocking check of its bars fails.

    Raises:
        ChecksFailed: With the checks, what they found, and what mends it.
        CorruptFile: If a file of the range cannot be trusted.
    """
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in READ_BACK}
    for series in spec.all_series:
        look_at_bars(catalog, series, spec.start, spec.end, found)
    lines = [f"{check}: {where}: {what}" for check, failures in found.items() for where, what in failures]
    if lines:
        raise ChecksFailed(_message(spec, lines, "Move the file away and load its sessions again: mdp catalog verify says which."))
    if recorded := _recorded(instance, watchlist, spec):
        jobs = sorted({"_".join(key.path[:1]) for _, key in recorded})
        again = " or ".join(f"{job}_bars" for job in jobs)
        raise ChecksFailed(
            _message(
                spec,
                [line for line, _ in recorded],
                f"If that has been mended since, let the check look again: run the job {again} for these sessions. Nothing is asked for twice.",
            )
        )


def _message(spec: "BacktestSpec", lines: list[str], what_next: str) -> str:
    more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join(
        [f"{spec.name} was not run, because blocking checks of its bars fail:", *(f"  {line}" for line in lines[:_SHOWN] + more), what_next]
    )


def _recorded(instance: dg.DagsterInstance, watchlist: Watchlist, spec: "BacktestSpec") -> list[tuple[str, dg.AssetKey]]:
    """Return the newest evaluations of blocking checks that failed for a series of the spec, or do not say for which."""
    by_key: dict[dg.AssetKey, list[Series]] = {}
    for series in spec.all_series:
        if (key := bars_key_of(watchlist, series)) is not None:
            by_key.setdefault(key, []).append(series)
    found = []
    for key, wanted in by_key.items():
        names = {name for series in wanted for name in (str(series), series.instrument_id)}
        for check in blocking_specs(key):
            if check.blocking and (failing := _failing(instance, check.key)) is not None and (not failing or names & set(failing)):
                where = ", ".join(sorted(names & set(failing))) or "it does not say for which series"
                found.append((f"{check.name} of {key.to_user_string()}: {where}", key))
    return found


def _failing(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> Collection[str] | None:
    """Return for what the newest evaluation of a check failed; None where it passed, only warns, or was never made."""
    record = instance.event_log_storage.get_latest_asset_check_execution_by_key([check]).get(check)
    event = record.event.dagster_event if record is not None and record.event is not None else None
    if event is None or event.event_type_value != "ASSET_CHECK_EVALUATION":
        return None
    evaluation = event.asset_check_evaluation_data
    if evaluation.passed or evaluation.severity is not dg.AssetCheckSeverity.ERROR:
        return None
    named = evaluation.metadata.get(FAILING)
    return [str(one) for one in named.value] if named is not None and isinstance(named.value, list) else []
