"""CME Group's Globex hours on special days, Chicago time.

Sources: CME Group, "U.S. Equity, Interest Rate Markets to Close for National Day of Mourning" (2018-12-02) and "Trading Hours for U.S.
National Day of Mourning" (2024-12-30); DTN's exchange holiday schedules for Presidents' Day 2023 and the Fourth of July 2024; ForexLive's
summaries of CME Group's hours for Thanksgiving 2024 and 2025-01-20; press reports of Good Friday 2023 (index futures to 08:15, for the
employment report) and 2024 (futures closed). By CME Group's standing practice, without a notice at hand: 12:15 on the Friday after
Thanksgiving and on 24 December, Good Friday 2025, Christmas Day, New Year's Day, and no energy or metals on a Good Friday.

2026: CME Group publishes its hours on a page that changes, so they are taken from those who wrote them down: Edge Clear, "2026 CME Globex
Trading Schedule" (Martin Luther King Day by product, and which holidays are kept); pandas_market_calendars issue 464 (read from CME Group's
holiday tool and trading hours files on 2026-05-29: Juneteenth to Thanksgiving, of equities and of energy and metals) and pull request 456 (index
futures traded on Good Friday, 2026-04-03). No source was found for the hours of 2026-02-16, 05-25 and 12-24, and for those of rates after January.
"""

from __future__ import annotations

_ENERGY_AND_METALS_2026 = {"2026-01-19": "13:30", "2026-06-19": "12:00", "2026-07-03": "12:00", "2026-09-07": "13:30", "2026-11-27": "13:45"}

# Calendar: {session: regular close}.
CLOSES = {
    "CME": {
        "2018-12-05": "08:30",
        "2023-02-20": "12:00",
        "2023-04-07": "08:15",
        "2024-07-03": "12:15",
        "2024-07-04": "12:00",
        "2024-07-05": "16:00",
        "2024-11-28": "12:00",
        "2024-11-29": "12:15",
        "2024-12-24": "12:15",
        "2025-01-08": "16:00",
        "2025-01-09": "08:30",
        "2025-01-20": "12:00",
        "2026-01-19": "12:00",
        "2026-04-03": "08:15",
        "2026-06-19": "12:00",
        "2026-07-03": "12:00",
        "2026-09-07": "12:00",
        "2026-11-27": "12:15",
    },
    "CBOT": {
        "2023-02-20": "12:00",
        "2024-07-03": "16:00",
        "2024-07-04": "12:00",
        "2025-01-09": "12:15",
        "2025-01-20": "12:00",
        "2026-01-19": "12:00",
    },
    "NYMEX": {"2023-02-20": "13:30", "2024-07-03": "16:00", "2024-07-04": "13:30", "2025-01-09": "16:00", **_ENERGY_AND_METALS_2026},
    "COMEX": {"2023-02-20": "13:30", "2024-07-03": "16:00", "2024-07-04": "13:30", "2025-01-09": "16:00", **_ENERGY_AND_METALS_2026},
}

# Weekdays without a session. Energy and metals never trade on a Good Friday.
_ALL = "2023-12-25 2024-01-01 2024-03-29 2024-12-25 2025-01-01 2025-04-18 2025-12-25 2026-01-01 2026-12-25"
CLOSED = {
    "CME": _ALL,
    "CBOT": _ALL,
    "NYMEX": f"2021-04-02 2023-04-07 {_ALL} 2026-04-03",
    "COMEX": f"2021-04-02 2023-04-07 {_ALL} 2026-04-03",
}
