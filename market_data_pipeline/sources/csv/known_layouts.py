"""The layouts that common exporters write, by name and by header."""

from __future__ import annotations

from dataclasses import replace

from market_data_pipeline.sources.csv.layout import CsvLayout, Stamp

_GENERIC = CsvLayout(time="timestamp", open="open", high="high", low="low", close="close", volume="volume", name="generic")
_NUMBERED = CsvLayout(time=1, open=2, high=3, low=4, close=5, volume=6, header=False)
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

# A layout carries a zone and a stamp convention only where its exporter always writes them so; the rest has to be declared.
LAYOUTS: dict[str, CsvLayout] = {
    layout.name: layout
    for layout in (
        _GENERIC,
        replace(_GENERIC, name="epoch", time_form="epoch"),
        # ib_async's util.df(bars).to_csv(): IBKR stamps bars with their start.
        replace(_GENERIC, name="ibkr", time="date", time_form="iso", stamp=Stamp.OPEN),
        # An exporter that follows Nautilus' ts_init: ISO with offsets, stamped at the close.
        replace(_GENERIC, name="ibkr-closes", time_form="iso", stamp=Stamp.CLOSE),
        # Yahoo's prices are adjusted for splits; "Adj Close" (dividends too) is not read.
        replace(_GENERIC, name="yahoo", time="Date", time_form="iso", stamp=Stamp.OPEN, adjustment="split"),
        replace(_GENERIC, name="yahoo-intraday", time="Datetime", time_form="iso", stamp=Stamp.OPEN, adjustment="split"),
        replace(_GENERIC, name="stooq", time="Date", time_form="iso", adjustment="split+dividend"),
        CsvLayout(
            time="<DATE>",
            clock="<TIME>",
            open="<OPEN>",
            high="<HIGH>",
            low="<LOW>",
            close="<CLOSE>",
            volume="<VOL>",
            name="stooq-bulk",
            time_form="YYYYMMDD HHMMSS",
            adjustment="split+dividend",
        ),
        # HistData.com, "Generic ASCII": fixed EST without daylight saving (its FAQ), stamped at the start of the minute.
        replace(_NUMBERED, name="histdata", delimiter=";", time_form="YYYYMMDD HHMMSS", time_zone="Etc/GMT+5", stamp=Stamp.OPEN),
        replace(_METATRADER_4, name="histdata-metatrader", delimiter=",", time_zone="Etc/GMT+5"),
        # MetaTrader writes the broker's server time, which no file names.
        _METATRADER_4,
        _METATRADER_5,
        replace(_METATRADER_5, name="metatrader5-daily", clock=None, time_form="YYYY.MM.DD"),
        replace(_GENERIC, name="tradingview", time="time", volume="Volume", stamp=Stamp.OPEN),
        # Binance's kline archives: milliseconds, microseconds since 2025; older files have no header.
        replace(_NUMBERED, name="binance", time_form="epoch", stamp=Stamp.OPEN),
    )
}

# Headers that only one exporter writes: every name here must stand in the file. The longest match wins.
SIGNATURES: dict[str, frozenset[str]] = {
    "yahoo": frozenset({"date", "open", "high", "low", "close", "adj close", "volume"}),
    "ibkr": frozenset({"date", "open", "high", "low", "close", "volume", "average", "barcount"}),
    "stooq-bulk": frozenset({"<ticker>", "<per>", "<date>", "<time>", "<open>", "<high>", "<low>", "<close>", "<vol>"}),
    "metatrader5": frozenset({"<date>", "<time>", "<open>", "<high>", "<low>", "<close>", "<tickvol>"}),
    "metatrader5-daily": frozenset({"<date>", "<open>", "<high>", "<low>", "<close>", "<tickvol>"}),
}

# What else the columns of the generic layout are called, best first.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "time": ("timestamp", "datetime", "date_time", "date time", "date", "time", "ts", "<date>"),
    "clock": ("time", "<time>"),
    "open": ("open", "o", "<open>"),
    "high": ("high", "h", "<high>"),
    "low": ("low", "l", "<low>"),
    "close": ("close", "c", "<close>"),
    "volume": ("volume", "vol", "v", "vol.", "<vol>", "tick_volume"),
}
