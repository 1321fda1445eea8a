"""CME Group's Globex hours on special days, Chicago time.

Sources: CME Group, "U.S. Equity, Interest Rate Markets to Close for National Day of Mourning" (2018-12-02) and "Trading Hours for U.S.
National Day of Mourning" (2024-12-30); DTN's exchange holiday schedules for Presidents' Day 2023 and the Fourth of July 2024; ForexLive's
summaries of CME Group's hours for Thanksgiving 2024 and 2025-01-20; press reports of Good Friday 2023 (index futures to 08:15, for the
employment report) and 2024 (futures closed). By CME Group's standing practice, without a notice at hand: 12:15 on the Friday after
Thanksgiving and on 24 December, Good Friday 2025, Christmas Day, New Year's Day, and no energy or metals on a Good Friday.
"""

from __future__ import annotations

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
    },
    "CBOT": {"2023-02-20": "12:00", "2024-07-03": "16:00", "2024-07-04": "12:00", "2025-01-09": "12:15", "2025-01-20": "12:00"},
    "NYMEX": {"2023-02-20": "13:30", "2024-07-03": "16:00", "2024-07-04": "13:30", "2025-01-09": "16:00"},
    "COMEX": {"2023-02-20": "13:30", "2024-07-03": "16:00", "2024-07-04": "13:30", "2025-01-09": "16:00"},
}

# Weekdays without a session. Energy and metals never trade on a Good Friday.
CLOSED = {
    "CME": "2023-12-25 2024-01-01 2024-03-29 2024-12-25 2025-01-01 2025-04-18 2025-12-25",
    "CBOT": "2023-12-25 2024-01-01 2024-03-29 2024-12-25 2025-01-01 2025-04-18 2025-12-25",
    "NYMEX": "2021-04-02 2023-04-07 2023-12-25 2024-01-01 2024-03-29 2024-12-25 2025-01-01 2025-04-18",
    "COMEX": "2021-04-02 2023-04-07 2023-12-25 2024-01-01 2024-03-29 2024-12-25 2025-01-01 2025-04-18",
}
