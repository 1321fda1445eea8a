"""The files that must be taken: one or more of each exporter."""

from __future__ import annotations

from market_data_pipeline_tests.sources.csv.files import currency_files, platform_files, share_files
from market_data_pipeline_tests.sources.csv.files.case import Case

CASES: dict[str, Case] = {
    case.name: case
    for group in (
        share_files.yahoo,
        share_files.stooq,
        currency_files.histdata,
        currency_files.dukascopy,
        currency_files.metatrader,
        platform_files.tradingview,
        share_files.firstrate,
        platform_files.databento,
        share_files.alpaca,
        platform_files.ib,
        share_files.nasdaq,
        currency_files.crypto,
        platform_files.finam,
        share_files.zipline,
        share_files.several_symbols,
        share_files.spreadsheet,
    )
    for case in group()
}
"""Every file that must be taken, by name."""
