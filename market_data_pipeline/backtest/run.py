"""One backtest from spec to result folder: `data/backtests/<id>/`, whole or not at all."""

from __future__ import annotations

import datetime as dt
import json
import platform
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from market_data_pipeline import __version__
from market_data_pipeline.backtest.engine import Finished, finished_engine, require_settings
from market_data_pipeline.backtest.equity import EquityCurve, equity_curve
from market_data_pipeline.backtest.evidence import Evidence, SeriesEvidence, gather
from market_data_pipeline.backtest.reports import plain, statistics_of, tables_of
from market_data_pipeline.backtest.results import TEMPORARY_PREFIX, BacktestResult, load_result
from market_data_pipeline.backtest.spec import BacktestSpec
from market_data_pipeline.backtest.tearsheet import write_tearsheet
from market_data_pipeline.domain.errors import StorageFailed, UsageError
from market_data_pipeline.domain.words import count

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog

PASSPORT_VERSION = 1
_PACKAGES = ("nautilus_trader", "numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class BacktestOutcome:
    """A backtest that was run and kept.

    Attributes:
        result: As `load_result` gives it back.
        equity_png: The picture, for a page that shows it.
    """

    result: BacktestResult
    equity_png: bytes

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.result.folder


def run_backtest(catalog: Catalog, spec: BacktestSpec, output_root: Path, progress: Callable[[str], None] | None = None) -> BacktestOutcome:
    """Run a spec on a catalog and keep what came out of it.

    Args:
        catalog: Where bars and instruments are.
        spec: What to run.
        output_root: Gets a folder `<UTC time>-<name>-<hash of bars, definitions and spec>`.
        progress: Told what is done next, in words.

    Raises:
        DataMissing: If sessions of the range are missing and the spec does not allow it; with the commands that fill them.
        InstrumentNotFound: If an instrument has no definition.
        CorruptFile: If a file of the range cannot be trusted.
        PrecisionMismatch: If bars and instrument have different decimals.
        ConfigurationError: If the strategy cannot be made.
        BacktestFailed: If the engine or the strategy stopped.
        StorageFailed: If the result cannot be written.
        UsageError: If the spec has a grid.
    """
    if spec.grid is not None:
        raise UsageError(
            f"{spec.name} has a grid of {count(len(spec.combinations), 'combination')}, and this runs one backtest. "
            "Run them all: mdp backtest sweep SPEC.yaml (in Dagster: the job backtest_sweep), or leave out grid:."
        )
    require_settings(spec.strategy, spec.strategy.config)  # before minutes of reading
    tell = progress or _silent
    return run_on(catalog.root, spec, gather(catalog, spec, tell), output_root, tell)


def run_on(
    root: Path, spec: BacktestSpec, evidence: Evidence, output_root: Path, tell: Callable[[str], None], confirm: Callable[[], None] | None = None
) -> BacktestOutcome:
    """Run a spec on bars that were checked before, by this process or another, and keep what came out of it.

    Args:
        root: Folder of the catalog.
        spec: What to run.
        evidence: What `gather` found for it, or for another spec with the same series, range and account.
        output_root: As for `run_backtest`.
        tell: Told what is done next.
        confirm: Called when the engine has read its bars, before anything is kept; raises where they are no longer those of the evidence.

    Raises:
        ConfigurationError: If the strategy cannot be made.
        BacktestFailed: If the engine or the strategy stopped.
        StorageFailed: If the result cannot be written.
    """
    started = dt.datetime.now(dt.UTC)
    tell(f"Running {spec.name} on {count(evidence.bars, 'bar')}")
    with finished_engine(root, spec, evidence) as finished:
        if confirm is not None:
            confirm()
        tell("Writing the result")
        try:
            output_root.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=output_root))
            try:
                picture = _write(temporary, finished, evidence, spec, started, root)
                folder = _put_in_place(temporary, output_root, started, spec, evidence)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise StorageFailed(f"The result of {spec.name} could not be written below {output_root}: {error}.") from error
    return BacktestOutcome(load_result(folder), picture)


def _silent(_message: str) -> None:
    pass


def _put_in_place(temporary: Path, root: Path, started: dt.datetime, spec: BacktestSpec, evidence: Evidence) -> Path:
    inputs = f"{evidence.bars_fingerprint}{evidence.definitions_fingerprint}{spec.fingerprint()}"
    name = f"{started:%Y%m%dT%H%M%SZ}-{spec.name}-{_short_hash(inputs)}"
    temporary.chmod(0o755)  # mkdtemp's folders are for their owner alone
    for attempt in range(1, 1_000):
        folder = root / (name if attempt == 1 else f"{name}-{attempt}")
        try:
            # Renaming a folder onto one that holds files fails on every system, so two runs of one second both stay.
            return temporary.rename(folder)
        except OSError:
            if not folder.exists():
                raise
    raise StorageFailed(f"{root} holds a thousand results called {name}. Remove some.")


def _short_hash(text: str) -> str:
    import hashlib

    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def _write(folder: Path, finished: Finished, evidence: Evidence, spec: BacktestSpec, started: dt.datetime, root: Path) -> bytes:
    import pyarrow.parquet as pq
    import yaml

    from market_data_pipeline.charts.equity import equity_png

    tables = tables_of(finished)
    curve = equity_curve(evidence, finished.instruments, tables, spec.account_currency or spec.currencies[0])
    for name, table in {**tables, "equity": curve.daily()}.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    picture = equity_png(spec.name, curve.times_ns, curve.equity, curve.currency, curve.basis)
    (folder / "equity.png").write_bytes(picture)
    statistics = {"bars": evidence.bars, **statistics_of(finished, tables), "equity": _summary(curve)}
    write_tearsheet(folder / "tearsheet.html", f"{spec.name}, {spec.start} to {spec.end}", finished, statistics, curve)
    _write_json(folder / "statistics.json", statistics)
    (folder / "spec.yaml").write_text(yaml.safe_dump(_as_given(spec), sort_keys=False, allow_unicode=True), encoding="utf-8")
    _write_json(folder / "passport.json", _passport(evidence, spec, started, root))
    return picture


def _as_given(spec: BacktestSpec) -> dict[str, Any]:
    given: dict[str, Any] = spec.model_dump(mode="json", exclude_unset=True)
    return given


def _summary(curve: EquityCurve) -> dict[str, Any]:
    from market_data_pipeline.charts.equity import drawdown

    start, end = float(curve.equity[0]), float(curve.equity[-1])
    return {
        "currency": curve.currency,
        "basis": curve.basis,
        "start": start,
        "end": end,
        "change": end / start - 1 if start else None,
        "largest_drawdown": float(drawdown(curve.equity).min()),
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(plain(content), indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def _passport(evidence: Evidence, spec: BacktestSpec, started: dt.datetime, root: Path) -> dict[str, Any]:
    return {
        "passport_version": PASSPORT_VERSION,
        "name": spec.name,
        "created_at": started.isoformat(timespec="seconds"),
        "catalog": str(root),
        "bars_fingerprint": evidence.bars_fingerprint,
        "definitions_fingerprint": evidence.definitions_fingerprint,
        "spec_fingerprint": spec.fingerprint(),
        "gap_verdict": "gaps allowed" if evidence.has_gaps else "complete",
        "bars": evidence.bars,
        "series": [_series(one) for one in evidence.series],
        "instruments": evidence.definitions,
        "seed": spec.seed,
        "versions": {
            "python": platform.python_version(),
            "market_data_pipeline": __version__,
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "spec": spec.to_json(),
    }


def _series(one: SeriesEvidence) -> dict[str, Any]:
    missing = sum(gap.sessions for gap in one.gaps)
    return {
        "series": one.series.bar_type,
        "hours": one.convention.hours,
        "adjustment": one.convention.adjustment,
        "sessions": one.sessions,
        "complete": one.sessions - one.empty - missing,
        "empty": one.empty,
        "missing": missing,
        "gaps": [{"first": gap.first.isoformat(), "last": gap.last.isoformat(), "sessions": gap.sessions} for gap in one.gaps],
        "bars": one.bars,
        "first_open": _iso(one.first_open_ns),
        "last_close": _iso(one.last_close_ns),
        "fingerprint": one.fingerprint,
    }


def _iso(ns: int | None) -> str | None:
    import numpy as np

    return None if ns is None else f"{np.datetime64(ns, 'ns')}Z"
