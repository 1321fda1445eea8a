"""Which column of a file is what: told by its header, or by the shape of its rows where it has none."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from market_data_pipeline.domain.errors import QuestionUnanswered, SourceRefused
from market_data_pipeline.sources.csv.columns import Head, find_delimiter, head_of, split_line
from market_data_pipeline.sources.csv.known_layouts import LAYOUTS, SIGNATURES, SYNONYMS
from market_data_pipeline.sources.csv.layout import PRICES, CsvLayout, Stamp

_NUMBER = re.compile(r"[+-]?[$€£]?\d[\d,.' ]*([eE][+-]?\d+)?|[+-]?[.,]\d+|nan", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_EPOCH = re.compile(r"\d{9,10}(\.\d+)?|\d{13}|\d{16}|\d{19}")
_HISTDATA = re.compile(r"\d{8} \d{6}")
_DOTTED_DATE, _CLOCK = re.compile(r"\d{4}\.\d\d\.\d\d"), re.compile(r"\d\d:\d\d(:\d\d)?")
_LINES_LOOKED_AT = 40
_ROWS_THAT_MOVE = 3


@dataclass(frozen=True)
class Shape:
    """What the columns of a file are.

    Attributes:
        layout: The layout; zone and stamp convention only where its exporter always writes them so.
        told_by: How that was told, in words.
        alike: Other layouts that write the same columns.
    """

    layout: CsvLayout
    told_by: str
    alike: tuple[str, ...] = ()


def shape_of(path: Path, delimiter: str | None = None) -> Shape:
    """Return what a file's columns are, by its first lines.

    Raises:
        QuestionUnanswered: If the header, or the shape of the rows, leaves open which column is what.
        SourceError: If the file cannot be read, holds no table, or one with two header rows.
    """
    head = head_of(path)
    preamble = _preamble(head, delimiter)
    lines = [text for _, text in head.lines[preamble:]][:_LINES_LOOKED_AT]
    found = find_delimiter(delimiter, lines[0], 5)
    rows = [split_line(line, found) for line in lines]
    names = [_plain_name(name) for name in rows[0]]
    if sum(_is_number(name) for name in rows[0]) >= 3:
        shape = _by_rows(path, lines, rows)
    else:
        _refuse_two_headers(path, rows)
        shape = _by_header(path, names, rows[0], rows[1:])
    layout = replace(shape.layout, preamble=preamble, delimiter=delimiter or shape.layout.delimiter or found)
    return replace(shape, layout=_with_decimal_comma(layout, rows[1:]))


def _preamble(head: Head, delimiter: str | None) -> int:
    """Return how many lines stand before the table: CryptoDataDownload begins with an address."""
    texts = [text for _, text in head.lines]
    if len(texts) < 2 or not re.match(r"(https?://|www\.|#|sep=)", texts[0].strip().lower()):
        return 0
    found = find_delimiter(delimiter, texts[1], 5)
    return 1 if len(split_line(texts[1], found)) >= 5 else 0


def _plain_name(name: str) -> str:
    """Return a column's name as signatures write it: small, without Yahoo's asterisks and its explanations behind the name."""
    text = " ".join(name.strip().lower().strip("*").split())
    for known in ("adj close", "close"):
        if text.startswith(f"{known} ") and "adjusted" in text:
            return known
    return text


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _refuse_two_headers(path: Path, rows: list[list[str]]) -> None:
    """Refuse tables that name field and symbol in two rows, as pandas writes what yfinance gives for several symbols."""
    if len(rows) < 2:
        return
    second = [cell.strip() for cell in rows[1]]
    words = [cell for cell in second[1:] if cell and not _is_number(cell)]
    if second[0].lower() in ("ticker", "symbol", "symbols") or (len(words) >= 3 and len(words) == sum(bool(cell) for cell in second[1:])):
        raise SourceRefused(
            f"{path.name} has two header rows ({', '.join(rows[0])[:60]} above {', '.join(second)[:60]}): a wide table of one or more symbols, and "
            "which column belongs to which is not certain. Write one file per symbol with a single header row; in pandas: "
            "df.xs('AAPL', axis=1, level='Ticker').to_csv('AAPL.csv'), or download with multi_level_index=False."
        )


def _by_header(path: Path, names: list[str], written: list[str], rows: list[list[str]]) -> Shape:
    matching = [name for name, signature in SIGNATURES.items() if signature <= set(names)]
    if matching:
        name = max(matching, key=lambda name: len(SIGNATURES[name]))
        layout = _named_as_written(LAYOUTS[name], names, written)
        if name == "databento" and _whole_prices(layout, names, rows):
            layout = _named_as_written(LAYOUTS["databento-fixed"], names, written)
        return Shape(layout, f"the header is {layout.name}'s: {_listed(written)}")
    if {"date", *PRICES} <= set(names) and {"wap", "average"} & set(names):
        return Shape(_named_as_written(LAYOUTS["ibkr"], names, written), f"the header is ibkr's: {_listed(written)}")
    if names[:5] == ["time", *PRICES] and "Volume" in written and "close" in written:
        layout = _named_as_written(LAYOUTS["tradingview"], names, written)
        return Shape(layout, f"the header is tradingview's (small names, then Volume): {_listed(written)}")
    return _by_usual_names(path, names, written)


def _by_usual_names(path: Path, names: list[str], written: list[str]) -> Shape:
    found = {field: next((name for name in known if name in names), None) for field, known in SYNONYMS.items()}
    if found["clock"] == found["time"] or found["time"] not in ("date", "<date>"):
        found["clock"] = None
    if "close_time" in names and found["time"] in ("open_time", "open time"):
        return Shape(
            replace(LAYOUTS["generic"], name="binance", header=True, time=found["time"], stamp=Stamp.OPEN),
            f"the header is binance's: {_listed(written)}",
        )
    missing = [field for field in ("time", *PRICES) if found[field] is None]
    if missing:
        raise QuestionUnanswered(
            f"{path.name}: the header {', '.join(written)[:120]!r} names no column for {', '.join(missing)}. "
            f"Pass --layout NAME, one of {', '.join(LAYOUTS)}, or --layout FILE.yaml with 'columns: {{time: …, open: …, high: …, low: …, close: …}}'."
        )
    layout = replace(LAYOUTS["generic"], **found)  # type: ignore[arg-type]  # missing ones were refused above
    told_by = f"the header names the columns: {_listed(written)}"
    if set(names) in ({"date", *PRICES, "volume"}, {"datetime", *PRICES, "volume"}):
        # Nothing in such a file says so, and raw prices that are none would be kept under a wrong name for ever.
        told_by += "; prices are taken as raw. Tables of Yahoo and Stooq have this header too and are adjusted: for them pass --layout yahoo or stooq"
    return Shape(_named_as_written(layout, names, written), told_by)


def _named_as_written(layout: CsvLayout, names: list[str], written: list[str]) -> CsvLayout:
    """Return the layout with its columns named as this file writes them; what the file leaves out is None."""
    columns: dict[str, str | None] = {}
    for field, column in layout.columns.items():
        key = str(column).lower()
        if key in names:
            columns[field] = written[names.index(key)] if names.count(key) == 1 else str(column)
        elif field == "volume":
            columns[field] = next((written[names.index(name)] for name in (*SYNONYMS["volume"], "volume btc") if name in names), None)
            base = next((name for name in names if name.startswith("volume ") and "usd" not in name and "eur" not in name), None)
            if columns[field] is None and base is not None:
                columns[field] = written[names.index(base)]
        else:
            columns[field] = None
    return replace(layout, **columns)  # type: ignore[arg-type]  # a name for a name


def _whole_prices(layout: CsvLayout, names: list[str], rows: list[list[str]]) -> bool:
    """Return whether prices are whole numbers of 1e-9: none has a point, and all are large."""
    at = names.index("close")
    closes = [row[at].strip() for row in rows if at < len(row)]
    return bool(closes) and all(re.fullmatch(r"-?\d{7,19}", close) for close in closes)


def _listed(written: list[str]) -> str:
    return ", ".join(name.strip() for name in written)[:100]


def _by_rows(path: Path, lines: list[str], rows: list[list[str]]) -> Shape:
    """Return the layout of a file without a header."""
    first, width = [cell.strip() for cell in rows[0]], len(rows[0])
    if _HISTDATA.fullmatch(first[0]) and width in (5, 6) and ";" in lines[0]:
        return Shape(_narrow(LAYOUTS["histdata"], width), "no header; date and time as 20240105 093000 and semicolons: HistData's generic ASCII")
    if _DOTTED_DATE.fullmatch(first[0]) and width in (6, 7) and _CLOCK.fullmatch(first[1]):
        layout = replace(LAYOUTS["metatrader4"], time_form="auto", volume=7 if width == 7 else None)
        return Shape(layout, "no header; date with points, then the time: MetaTrader 4, and HistData's files for it", ("histdata-metatrader",))
    if width == 12 and _EPOCH.fullmatch(first[0]) and _EPOCH.fullmatch(first[6]):
        return Shape(LAYOUTS["binance"], "no header; 12 columns from open time to close time: Binance's klines")
    if not _in_usual_order(rows):
        raise _no_header(path, lines)
    dated = not _is_number(first[0]) or _EPOCH.fullmatch(first[0]) or re.fullmatch(r"\d{8}( \d{4,6})?|\d{12}|\d{14}|\d{4}\.\d\d\.\d\d", first[0])
    if dated and width in (5, 6) and all(_is_number(cell) for cell in first[1:]):
        return Shape(
            _narrow(LAYOUTS["firstrate"], width), "no header; a time, four prices and a volume, in the order in which FirstRate and others write them"
        )
    if dated and width in (6, 7) and (_CLOCK.fullmatch(first[1]) or re.fullmatch(r"\d{4}|\d{6}", first[1])):
        layout = replace(LAYOUTS["metatrader4"], name="firstrate", time_form="auto", stamp=None, volume=7 if width == 7 else None)
        if all(_is_number(cell) for cell in first[2:]):
            return Shape(layout, "no header; date, time, four prices and a volume")
    raise _no_header(path, lines)


def _no_header(path: Path, lines: list[str]) -> QuestionUnanswered:
    return QuestionUnanswered(
        f"{path.name} has no header (its first line is {lines[0][:80]!r}), so it does not say which column is what. "
        f"Pass --layout NAME, one of {', '.join(LAYOUTS)}, or --layout FILE.yaml with the columns numbered."
    )


def _in_usual_order(rows: list[list[str]]) -> bool:
    """Return whether rows without a header show that their prices are open, high, low, close: the second is highest, the third lowest."""
    moved = 0
    for row in rows:
        prices = [cell.strip() for cell in row[-5:-1]] if len(row) in (6, 7) and _is_number(row[-5]) else [cell.strip() for cell in row[-4:]]
        try:
            opened, high, low, closed = (float(price.replace(",", ".")) for price in prices)
        except ValueError:
            return False
        if not low <= min(opened, closed) <= max(opened, closed) <= high:
            return False
        moved += high > max(opened, closed) or low < min(opened, closed) or opened != closed
    return moved >= _ROWS_THAT_MOVE


def _narrow(layout: CsvLayout, width: int) -> CsvLayout:
    return layout if width == 6 else replace(layout, volume=None)


def _with_decimal_comma(layout: CsvLayout, rows: list[list[str]]) -> CsvLayout:
    """Return the layout with a decimal comma where prices have one: `1,0954`, which no thousands separator writes."""
    if layout.delimiter == "," or layout.decimal_mark != ".":
        return layout
    cells = [cell.strip() for row in rows for cell in row]
    commas = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    points = [cell for cell in cells if re.fullmatch(r"[+-]?\d+\.\d+", cell)]
    if commas and not points and any(len(cell.partition(",")[2]) != 3 for cell in commas):
        return replace(layout, decimal_mark=",", number_marks=layout.number_marks.replace(",", ""))
    return layout
