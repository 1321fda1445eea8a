"""The layouts that common exporters write, by name and by header."""

from __future__ import annotations

from dataclasses import replace

from market_data_pipeline.sources.csv.layout import CsvLayout, Stamp

_GENERIC = CsvLayout(time="timestamp", open="open", high="high", low="low", close="close", volume="volume", name="generic")
_NUMBERED = CsvLayout(time=1, open=2, high=3, low=4, close=5, volume=6, header=False)
_TAGGED = CsvLayout(time="<DATE>", clock="<TIME>", open="<OPEN>", high="<HIGH>", low="<LOW>", close="<CLOSE>", volume="<VOL>", symbol="<TICKER>")
_DUKASCOPY = "%d.%m.%Y %H:%M:%S.%f"
_METATRADER_4 = CsvLayout(
    time=1,
    clock=2,
    open=3,
    high=4,
    low=5,
    close=6,
    volume=7,
    name="metatrader4",
    header=False,
    time_form="YYYY.MM.DD HH:MM",
    stamp=Stamp.OPEN,
)
_METATRADER_5 = CsvLayout(
    time="<DATE>",
    clock="<TIME>",
    open="<OPEN>",
    high="<HIGH>",
    low="<LOW>",
    close="<CLOSE>",
    volume="<TICKVOL>",
    name="metatrader5",
    time_form="YYYY.MM.DD HH:MM:SS",
    stamp=Stamp.OPEN,
)

# A layout carries a zone and a stamp convention only where its exporter always writes them so; the rest is told by evidence or declared.
LAYOUTS: dict[str, CsvLayout] = {
    layout.name: layout
    for layout in (
        _GENERIC,
        replace(_GENERIC, name="epoch", time_form="epoch"),
        # ib_async's util.df(bars).to_csv(), and dumps of the API's own bars: IBKR stamps bars with their start.
        replace(_GENERIC, name="ibkr", time="date", stamp=Stamp.OPEN),
        # An exporter that follows Nautilus' ts_init: ISO with offsets, stamped at the close.
        replace(_GENERIC, name="ibkr-closes", time_form="iso", stamp=Stamp.CLOSE),
        # Yahoo's prices are adjusted for splits; "Adj Close" for dividends too, and is read where adjusted prices are asked for.
        replace(_GENERIC, name="yahoo", time="Date", stamp=Stamp.OPEN, adjustment="split", adjusted_close="Adj Close", number_marks=","),
        replace(_GENERIC, name="yahoo-intraday", time="Datetime", time_form="iso", stamp=Stamp.OPEN, adjustment="split"),
        replace(_GENERIC, name="stooq", time="Date", time_form="iso", adjustment="split+dividend"),
        replace(_TAGGED, name="stooq-bulk", time_form="YYYYMMDD HHMMSS", adjustment="split+dividend"),
        # Finam: the user chooses date and time forms and which end of a bar is stamped.
        replace(_TAGGED, name="finam"),
        # HistData.com, "Generic ASCII": fixed EST without daylight saving (its FAQ), stamped at the start of the minute.
        replace(_NUMBERED, name="histdata", delimiter=";", time_form="YYYYMMDD HHMMSS", time_zone="Etc/GMT+5", stamp=Stamp.OPEN),
        replace(_METATRADER_4, name="histdata-metatrader", delimiter=",", time_zone="Etc/GMT+5"),
        # MetaTrader writes the broker's server time, which no file names.
        _METATRADER_4,
        _METATRADER_5,
        replace(_METATRADER_5, name="metatrader5-daily", clock=None, time_form="YYYY.MM.DD"),
        # JForex and the download page: bar starts; flat rows without volume while the market is shut.
        replace(_GENERIC, name="dukascopy", time="Gmt time", time_form=_DUKASCOPY, time_zone="UTC", stamp=Stamp.OPEN, fills=True),
        replace(_GENERIC, name="dukascopy-local", time="Local time", time_form=f"{_DUKASCOPY} GMT%z", stamp=Stamp.OPEN, fills=True),
        replace(_GENERIC, name="tradingview", time="time", volume="Volume", stamp=Stamp.OPEN),
        # No header; exchange time and starts of bars, said by its documents and not by its files.
        replace(_NUMBERED, name="firstrate"),
        # ts_event is the start of the interval (Databento, OHLCV schema); prices are 1e-9 or have a point.
        replace(_GENERIC, name="databento", time="ts_event", stamp=Stamp.OPEN, symbol="symbol"),
        replace(_GENERIC, name="databento-fixed", time="ts_event", stamp=Stamp.OPEN, symbol="symbol", price_decimals=9),
        # t: start of the bar, RFC 3339 with Z (Alpaca, historical bars).
        replace(_GENERIC, name="alpaca", time_form="iso", stamp=Stamp.OPEN, symbol="symbol"),
        replace(_GENERIC, name="nasdaq", time="Date", close="Close/Last", time_form="MM/DD/YYYY", number_marks="$,"),
        replace(_GENERIC, name="cryptodatadownload", time="unix", time_form="epoch", stamp=Stamp.OPEN, symbol="symbol"),
        replace(_GENERIC, name="kaggle-bitcoin", time="Timestamp", volume="Volume_(BTC)", time_form="epoch", stamp=Stamp.OPEN, blanks=True),
        # zipline's csvdir bundle: days by date, minutes in UTC, where the tool labels a minute with its end and its users often do not.
        replace(_GENERIC, name="zipline", time="date"),
        # Binance's kline archives: milliseconds, microseconds since 2025; older files have no header.
        replace(_NUMBERED, name="binance", time_form="epoch", stamp=Stamp.OPEN),
    )
}

# Headers that only one exporter writes: every name here must stand in the file. The longest match wins.
SIGNATURES: dict[str, frozenset[str]] = {
    "yahoo": frozenset({"date", "open", "high", "low", "close", "adj close", "volume"}),
    "yahoo-intraday": frozenset({"datetime", "open", "high", "low", "close", "adj close", "volume"}),
    "ibkr": frozenset({"date", "open", "high", "low", "close", "volume", "average", "barcount"}),
    "stooq-bulk": frozenset({"<ticker>", "<per>", "<date>", "<time>", "<open>", "<high>", "<low>", "<close>", "<vol>", "<openint>"}),
    "metatrader5": frozenset({"<date>", "<time>", "<open>", "<high>", "<low>", "<close>", "<tickvol>"}),
    "metatrader5-daily": frozenset({"<date>", "<open>", "<high>", "<low>", "<close>", "<tickvol>"}),
    "finam": frozenset({"<date>", "<time>", "<open>", "<high>", "<low>", "<close>", "<vol>"}),
    "dukascopy": frozenset({"gmt time", "open", "high", "low", "close"}),
    "dukascopy-local": frozenset({"local time", "open", "high", "low", "close"}),
    "databento": frozenset({"ts_event", "open", "high", "low", "close", "volume"}),
    "alpaca": frozenset({"timestamp", "open", "high", "low", "close", "volume", "trade_count", "vwap"}),
    "nasdaq": frozenset({"date", "close/last", "open", "high", "low"}),
    "cryptodatadownload": frozenset({"unix", "date", "symbol", "open", "high", "low", "close"}),
    "kaggle-bitcoin": frozenset({"timestamp", "open", "high", "low", "close", "volume_(btc)", "weighted_price"}),
    "zipline": frozenset({"date", "open", "high", "low", "close", "volume", "dividend", "split"}),
}

# What else the columns of the generic layout are called, best first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "time": ("timestamp", "datetime", "date_time", "date time", "date", "time", "ts", "<date>", "open_time", "open time"),
    "clock": ("time", "<time>"),
    "open": ("open", "o", "<open>"),
    "high": ("high", "h", "<high>"),
    "low": ("low", "l", "<low>"),
    "close": ("close", "c", "<close>"),
    "volume": ("volume", "vol", "v", "vol.", "<vol>", "tick_volume"),
    "adjusted_close": ("adj close", "adj_close", "adjclose", "adjusted close", "adjusted_close"),
    "symbol": ("symbol", "ticker", "<ticker>", "sym", "instrument"),
}
