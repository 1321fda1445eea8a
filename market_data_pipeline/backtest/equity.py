"""The equity curve: what the accounts would be worth at each close, open positions included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from market_data_pipeline.backtest.evidence import Evidence, SeriesEvidence
from market_data_pipeline.domain.bar_table import Int64s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nautilus_trader.model.instruments import Instrument

MARKED = "marked at each close"
REALISED = "realised only"
# An account is rounded to its currency's last decimal at each fill, and at its commission.
_UNITS_A_FILL = 2.0


@dataclass(frozen=True, eq=False)
class EquityCurve:
    """Equity over time.

    Attributes:
        times_ns: Shape (n,), UTC nanoseconds, rising strictly.
        equity: Shape (n,), in `currency`.
        currency: Its code.
        basis: `marked at each close`, or `realised only` where positions cannot be marked (currencies differ, inverse contracts).
    """

    times_ns: Int64s
    equity: npt.NDArray[np.float64]
    currency: str
    basis: str

    def daily(self) -> pa.Table:
        """Return the last value of each UTC day, with the drawdown there."""
        last = np.flatnonzero(np.append(np.diff(self.times_ns // 86_400_000_000_000) != 0, True))
        highest = np.maximum.accumulate(self.equity)
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.where(highest > 0, self.equity / highest - 1, 0.0)
        return pa.table({"time": pa.array(self.times_ns[last], pa.timestamp("ns", "UTC")), "equity": self.equity[last], "drawdown": below[last]})


def equity_curve(evidence: Evidence, instruments: Mapping[str, Instrument], tables: Mapping[str, pa.Table], currency: str) -> EquityCurve:
    """Return the curve of all accounts together, in `currency`.

    Args:
        evidence: Whose closes mark the positions.
        instruments: By id.
        tables: `fills` and `account` of the run.
        currency: The accounts' currency, or the one of several that is shown.
    """
    realised = _realised(tables["account"], currency)
    marked = _marked(evidence, instruments, tables["fills"], realised, currency)
    return marked if marked is not None else realised


def _realised(account: pa.Table, currency: str) -> EquityCurve:
    """Return the balances as the accounts told them, summed over venues."""
    mine = account.filter(pc.equal(account["currency"], currency))
    times = np.unique(mine["ts_event"].cast(pa.int64()).to_numpy())
    total = np.zeros(len(times))
    for venue in pc.unique(mine["venue"]).to_pylist():
        of_venue = mine.filter(pc.equal(mine["venue"], venue))
        at = np.searchsorted(of_venue["ts_event"].cast(pa.int64()).to_numpy(), times, side="right") - 1
        total += of_venue["total"].to_numpy()[np.maximum(at, 0)]
    return EquityCurve(times, total, currency, REALISED)


def _marked(evidence: Evidence, instruments: Mapping[str, Instrument], fills: pa.Table, realised: EquityCurve, currency: str) -> EquityCurve | None:
    """Return starting balance + cash flows + positions at their last close; None where that does not add up to the accounts."""
    marks: dict[str, SeriesEvidence] = {}
    for one in evidence.series:  # of several series of an instrument, the finest marks it
        known = marks.get(one.series.instrument_id)
        if one.bars and (known is None or one.bars > known.bars):
            marks[one.series.instrument_id] = one
    times = np.unique(np.concatenate([one.closes_ns for one in marks.values()]))
    equity = np.full(len(times), realised.equity[0])
    if not len(fills):
        return EquityCurve(times, equity, currency, MARKED)
    currencies = {*pc.unique(fills["currency"]).to_pylist(), *pc.unique(fills["commission_currency"]).to_pylist()} - {None}
    if currencies != {currency} or any(instruments[name].is_inverse for name in marks):
        return None
    for name, one in marks.items():
        mine = fills.filter(pc.equal(fills["instrument_id"], name))
        equity += _worth(mine, one, float(instruments[name].multiplier), times)
    # All positions closed: the two must agree. The check is what allows to believe the marks in between.
    flat = abs(sum(_signed(fills))) < 1e-9
    if flat and abs(equity[-1] - realised.equity[-1]) > _UNITS_A_FILL * (len(fills) + 1) * 10.0 ** -_decimals(currency):
        return None
    return EquityCurve(times, equity, currency, MARKED)


def _decimals(currency: str) -> int:
    from nautilus_trader.model.objects import Currency

    return int(Currency.from_str(currency).precision)


def _signed(fills: pa.Table) -> npt.NDArray[np.float64]:
    sign = np.where(np.array(fills["order_side"].to_pylist()) == "BUY", 1.0, -1.0)
    signed: npt.NDArray[np.float64] = fills["last_qty"].to_numpy() * sign
    return signed


def _worth(fills: pa.Table, marks: SeriesEvidence, multiplier: float, times: Int64s) -> npt.NDArray[np.float64]:
    """Return what trading one instrument has added by each time: cash paid and received, and the position at its last close."""
    if not len(fills):
        return np.zeros(len(times))
    signed = _signed(fills)
    cash = np.cumsum(-signed * fills["last_px"].to_numpy() * multiplier - fills["commission"].fill_null(0.0).to_numpy())
    done = np.searchsorted(fills["ts_event"].cast(pa.int64()).to_numpy(), times, side="right")
    seen = np.searchsorted(marks.closes_ns, times, side="right")
    close = marks.closes[np.maximum(seen - 1, 0)]
    worth: npt.NDArray[np.float64] = np.append(0.0, cash)[done] + np.append(0.0, np.cumsum(signed))[done] * close * multiplier
    return worth
