"""Nautilus' BacktestNode, set up from a spec and watched: it must have seen every bar, and its errors must be heard."""

from __future__ import annotations

import importlib
import random
import sys
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from market_data_pipeline.backtest.evidence import Evidence, SeriesEvidence
from market_data_pipeline.backtest.spec import BacktestSpec, FeeSpec, StrategySpec
from market_data_pipeline.catalog import Catalog
from market_data_pipeline.domain.errors import BacktestFailed, ConfigurationError
from market_data_pipeline.domain.words import count

if TYPE_CHECKING:
    from nautilus_trader.backtest.config import BacktestRunConfig, BacktestVenueConfig, ImportableFeeModelConfig
    from nautilus_trader.backtest.engine import BacktestEngine
    from nautilus_trader.backtest.results import BacktestResult
    from nautilus_trader.config import ImportableStrategyConfig
    from nautilus_trader.model.instruments import Instrument

# Bars the engine holds at once; the result does not depend on it.
CHUNK = 50_000


@dataclass(frozen=True, eq=False)
class Finished:
    """An engine that has run, its reports still alive.

    Attributes:
        engine: The engine.
        result: Its own summary.
        instruments: The definitions that it used, by id.
    """

    engine: BacktestEngine
    result: BacktestResult
    instruments: dict[str, Instrument]


@contextmanager
def finished_engine(root: Path, spec: BacktestSpec, evidence: Evidence) -> Iterator[Finished]:
    """Run the engine over the evidence's bars and lend it; it is disposed of at the end, whatever happens.

    May be used many times in one process. Nautilus' log stays silent: its logging can be set up only once in a process.

    Raises:
        ConfigurationError: If the strategy cannot be imported, or refuses its configuration.
        BacktestFailed: If the engine or the strategy stopped, or not every bar was seen.
    """
    import pandas as pd
    from nautilus_trader.backtest.node import BacktestNode

    config = run_config(root, spec, evidence)
    random.seed(spec.seed)
    np.random.seed(spec.seed)  # strategies may use the global generator
    # With pandas 3's Arrow strings the analyzer's joins take quadratic time (FACTS 1).
    with (
        pd.option_context("mode.string_storage", "python"),
        warnings.catch_warnings(),
        Catalog.open(root).reading(*(one.series for one in evidence.series)),
    ):
        warnings.filterwarnings("ignore", message="Timestamp.utcnow is deprecated")  # Nautilus 1.23x under pandas 3
        node = BacktestNode([config])
        try:
            with _engine_errors():
                node.build()
                engine = node.get_engine(config.id)
                instruments = _instruments_of(engine, evidence)
                results = node.run()
            if not results:
                raise BacktestFailed(f"The engine gave no result for {spec.name}, and no reason.")
            if results[0].iterations != evidence.bars:
                raise BacktestFailed(
                    f"The engine saw {count(results[0].iterations, 'bar')} of the {evidence.bars:,} that were checked. Another process "
                    "may have written "
                    "to the catalog in between, or the strategy stopped the run. Run it again."
                )
            yield Finished(engine, results[0], instruments)
        finally:
            node.dispose()  # type: ignore[no-untyped-call]


def run_config(root: Path, spec: BacktestSpec, evidence: Evidence) -> BacktestRunConfig:
    """Return what Nautilus' BacktestNode is given."""
    from nautilus_trader.backtest.config import BacktestEngineConfig, BacktestRunConfig
    from nautilus_trader.config import LoggingConfig

    return BacktestRunConfig(
        venues=[_venue(venue, spec) for venue in spec.venues],
        data=[_data(root, one) for one in evidence.series if one.bars],
        engine=BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), strategies=_strategies(spec)),
        chunk_size=CHUNK,
        raise_exception=True,
        dispose_on_completion=False,  # it would take the reports along
    )


def _data(root: Path, one: SeriesEvidence) -> Any:
    import pandas as pd
    from nautilus_trader.backtest.config import BacktestDataConfig
    from nautilus_trader.model.data import Bar

    return BacktestDataConfig(
        catalog_path=str(root),
        data_cls=Bar,  # its name as a string would load every series of the instrument (FACTS 8)
        bar_types=[one.series.bar_type],
        start_time=pd.Timestamp(one.start_ns, tz="UTC").isoformat(),
        end_time=pd.Timestamp(one.end_ns, tz="UTC").isoformat(),
    )


def _venue(name: str, spec: BacktestSpec) -> BacktestVenueConfig:
    from nautilus_trader.backtest.config import BacktestVenueConfig, ImportableFillModelConfig

    return BacktestVenueConfig(
        name=name,
        oms_type=spec.oms_type,
        account_type=spec.account_type,
        starting_balances=spec.starting_balances,
        base_currency=spec.account_currency,
        default_leverage=float(spec.leverage),
        fill_model=ImportableFillModelConfig(
            fill_model_path="nautilus_trader.backtest.models:FillModel",
            config_path="nautilus_trader.backtest.config:FillModelConfig",
            config={"random_seed": spec.seed},
        ),
        fee_model=None if spec.fees is None else _fee_model(spec.fees),
    )


def _fee_model(fees: FeeSpec) -> ImportableFeeModelConfig:
    from nautilus_trader.backtest.config import ImportableFeeModelConfig

    theirs, ours = "nautilus_trader.backtest.models:", "nautilus_trader.backtest.config:"
    if fees.fixed is not None:
        return ImportableFeeModelConfig(theirs + "FixedFeeModel", ours + "FixedFeeModelConfig", {"commission": fees.fixed})
    if fees.per_unit is not None:
        return ImportableFeeModelConfig(theirs + "PerContractFeeModel", ours + "PerContractFeeModelConfig", {"commission": fees.per_unit})
    rates = {"maker": str(fees.maker), "taker": str(fees.taker)}
    module = "market_data_pipeline.backtest.fees:"
    return ImportableFeeModelConfig(module + "RateFeeModel", module + "RateFeeModelConfig", rates)


def _strategies(spec: BacktestSpec) -> list[ImportableStrategyConfig]:
    """Return one strategy a series, or one for all where its configuration takes `bar_types`."""
    from nautilus_trader.config import ImportableStrategyConfig

    strategy = spec.strategy
    require_settings(strategy, strategy.config)
    known = _fields_of(strategy)
    filled: list[dict[str, object]]
    if "bar_types" in known:
        filled = [{"bar_types": [series.bar_type for series in spec.all_series]}]
    else:
        filled = [
            {"bar_type": series.bar_type, "instrument_id": series.instrument_id, "order_id_tag": f"{i:03d}"}
            for i, series in enumerate(spec.all_series)
        ]
    configs = []
    for fields in filled:
        config = {name: value for name, value in fields.items() if name in known} | strategy.config
        importable = ImportableStrategyConfig(strategy.path, strategy.config_class, config)
        _try(importable)
        configs.append(importable)
    return configs


def _try(importable: ImportableStrategyConfig) -> None:
    """Make the strategy once, so that a refused configuration is told as such and not as a failure of the engine."""
    from nautilus_trader.trading.config import StrategyFactory

    try:
        StrategyFactory.create(importable)
    except Exception as error:  # a user's own code may raise anything
        raise ConfigurationError(f"{importable.strategy_path} refuses its configuration {importable.config}: {error}.") from error


def require_settings(strategy: StrategySpec, names: Collection[str]) -> None:
    """Refuse settings that the strategy's configuration does not have.

    Raises:
        ConfigurationError: Naming them and those that it has; or if the strategy cannot be imported.
    """
    from nautilus_trader.config import StrategyConfig

    _imported(strategy.path)
    known = _fields_of(strategy)
    if unknown := sorted(set(names) - known):
        meant = get_close_matches(unknown[0], known, 1, 0.7)
        hint = f" Did you mean {meant[0]}?" if meant else ""
        own = sorted(known - set(StrategyConfig.__struct_fields__))
        raise ConfigurationError(
            f"{strategy.config_class} has no {', '.join(unknown)}.{hint} It has: {', '.join(own)}; and what every strategy of Nautilus has."
        )


def _fields_of(strategy: StrategySpec) -> set[str]:
    fields = getattr(_imported(strategy.config_class), "__struct_fields__", None)
    if fields is None:
        raise ConfigurationError(f"{strategy.config_class} is no Nautilus configuration. Derive it from nautilus_trader.config.StrategyConfig.")
    return set(fields)


def _imported(path: str) -> object:
    module_name, _, name = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # a console script does not look where the user stands
        sys.path.append(here)
    try:
        return getattr(importlib.import_module(module_name), name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"The strategy's module {module_name} cannot be imported: {error}. Run from the folder that holds it.") from None
    except AttributeError:
        raise ConfigurationError(f"{module_name} has no {name}. A configuration class of another name is given as strategy.config_path.") from None
    except Exception as error:
        raise ConfigurationError(f"The strategy's module {module_name} fails when it is imported: {type(error).__name__}: {error}.") from error


def _instruments_of(engine: BacktestEngine, evidence: Evidence) -> dict[str, Instrument]:
    """Return the definitions that the engine took from the catalog, which must be the current ones."""
    from market_data_pipeline.catalog.instrument_files import defining, row_of, table_of

    taken = {instrument.id.value: instrument for instrument in engine.cache.instruments()}
    for instrument_id, definition in evidence.definitions.items():
        if instrument_id not in taken or defining(row_of(table_of(taken[instrument_id]))) != definition:
            raise BacktestFailed(
                f"Nautilus takes another definition of {instrument_id} than the current one: more than one is stored, and it takes the oldest. "
                "Import again with the definition in instruments.yaml (mdp import-csv), which leaves one."
            )
    return taken


@contextmanager
def _engine_errors() -> Iterator[None]:
    """Turn whatever stops the engine or the strategy into one error with its text."""
    try:
        yield
    except BacktestFailed:
        raise
    except Exception as error:
        name, text = type(error).__name__, str(error)
        raise BacktestFailed(f"The engine stopped: {text if text.startswith(name) else f'{name}: {text}'}.") from error
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # Rust code that gave up; it derives from BaseException
            raise BacktestFailed(f"Nautilus' core stopped: {error}.") from error
        raise
