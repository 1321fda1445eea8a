"""NYSE holidays and early closes.

Sources: "NYSE Group Announces … Holiday and Early Closings Calendar" (press releases of 2021-12-27 for 2022 to 2024 and of 2024-11-08 for 2025 to
2027), and the notices of the National Days of Mourning on 2018-12-05 (George H. W. Bush) and 2025-01-09 (Jimmy Carter). 2018 to 2021 are written
down from NYSE's holiday rules (Rule 7.2).
"""

from __future__ import annotations

HOLIDAYS = {
    2018: "01-01 01-15 02-19 03-30 05-28 07-04 09-03 11-22 12-05 12-25",
    2019: "01-01 01-21 02-18 04-19 05-27 07-04 09-02 11-28 12-25",
    2020: "01-01 01-20 02-17 04-10 05-25 07-03 09-07 11-26 12-25",
    2021: "01-01 01-18 02-15 04-02 05-31 07-05 09-06 11-25 12-24",
    # New Year's Day 2022 was a Saturday and not moved; Juneteenth is kept since this year.
    2022: "01-17 02-21 04-15 05-30 06-20 07-04 09-05 11-24 12-26",
    2023: "01-02 01-16 02-20 04-07 05-29 06-19 07-04 09-04 11-23 12-25",
    2024: "01-01 01-15 02-19 03-29 05-27 06-19 07-04 09-02 11-28 12-25",
    2025: "01-01 01-09 01-20 02-17 04-18 05-26 06-19 07-04 09-01 11-27 12-25",
    2026: "01-01 01-19 02-16 04-03 05-25 06-19 07-03 09-07 11-26 12-25",
    2027: "01-01 01-18 02-15 03-26 05-31 06-18 07-05 09-06 11-25 12-24",
}

# Close at 13:00 New York, late trading until 17:00.
EARLY_CLOSES = {
    2018: "07-03 11-23 12-24",
    2019: "07-03 11-29 12-24",
    2020: "11-27 12-24",
    2021: "11-26",
    2022: "11-25",
    2023: "07-03 11-24",
    2024: "07-03 11-29 12-24",
    2025: "07-03 11-28 12-24",
    2026: "11-27 12-24",
    2027: "11-26",
}

# Trading days a year, as exchanges count them.
SESSIONS = {2018: 251, 2019: 252, 2020: 253, 2021: 252, 2022: 251, 2023: 250, 2024: 252, 2025: 250, 2026: 251, 2027: 251}

# Weekdays without trading for reasons no rule foresees: the attacks of 2001, Reagan's and Ford's funerals, hurricane Sandy.
ONE_OFF_CLOSURES = "2001-09-11 2001-09-12 2001-09-13 2001-09-14 2004-06-11 2007-01-02 2012-10-29 2012-10-30 2018-12-05 2025-01-09"
