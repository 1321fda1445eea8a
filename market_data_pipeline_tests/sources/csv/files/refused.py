"""The files that must be refused, each with the reason and with what has to be said."""

from __future__ import annotations

from collections.abc import Sequence

from market_data_pipeline_tests.sources.csv.files.case import BTCUSDT, EURUSD
from market_data_pipeline_tests.sources.csv.files.invented import cents, coins, lots, none, shares
from market_data_pipeline_tests.sources.csv.files.market import (
    DAY,
    HOUR,
    MINUTE,
    NEW_YORK,
    Bar,
    Clock,
    at,
    currency_times,
    decimal,
    midnights,
    round_the_clock,
    stock_times,
    walk,
    weekdays,
)
from market_data_pipeline_tests.sources.csv.files.misshapen import damaged, other_shapes
from market_data_pipeline_tests.sources.csv.files.refusal import JANUARY, LAYOUT, NY, STAMP, UTC, ZONE, Refusal, lines, text

MARCH = weekdays("2024-03-07", "2024-03-13")


def quarters(dates: Sequence[object], keep: float = 1.0, first: str = "09:30", last: str = "16:00") -> list[Bar]:
    return walk(stock_times(dates, 15 * MINUTE, first, last, keep=keep), 17_000, 9, shares, 40)  # type: ignore[arg-type]  # dates


def undecided() -> list[Refusal]:
    """Files that can be read in two ways, so that the user has to say which."""
    fives = walk(stock_times(weekdays("2024-05-06", "2024-05-06"), 5 * MINUTE), 18_000, 9, shares, 41)
    early = walk(stock_times(weekdays("2024-03-04", "2024-03-04"), 5 * MINUTE), 18_000, 9, shares, 42)
    midweek = [at(day, "00:00", "UTC") + i * 900 for day in weekdays("2024-01-23", "2024-01-25") for i in range(96)]
    euro = walk(midweek, 108_800, 9, lots, 43)
    coin = walk(round_the_clock("2024-01-22", "2024-01-25", HOUR), 4_000_000, 9_000, coins, 44)
    winter = walk(currency_times(["2024-01-07", "2024-01-14"], 15 * MINUTE), 109_000, 9, none, 45)
    noon = walk(stock_times(JANUARY, MINUTE, "11:00", "14:00"), 17_000, 9, shares, 46)
    thin = walk(stock_times(weekdays("2024-01-22", "2024-01-25"), MINUTE, "10:03", "15:41", keep=0.2, seed=47), 17_000, 9, shares, 47)
    epochs = [f"{bar.opened},{','.join(cents(bar))},{decimal(bar.volume, 6)}" for bar in coin]
    athens = Clock("Europe/Athens")
    four = [f"{row.replace(' ', ',', 1)}" for row in lines(euro, 900, Clock("Etc/GMT+5"), "%Y.%m.%d %H:%M", 5)]
    four_winter = [f"{row.replace(' ', ',', 1)}" for row in lines(winter, 900, athens, "%Y.%m.%d %H:%M", 5)]
    return [
        Refusal(
            "day-or-month.csv",
            "05/06/2024 is 6 May or 5 June, and both were sessions",
            text(lines(fives, 300, NY, "%m/%d/%Y %H:%M")),
            (("YYYY", "time_form"), LAYOUT),
            spec="5-MINUTE-LAST",
            options=("--timezone", NEW_YORK, "--stamp", "open"),
        ),
        Refusal(
            "two-digit-year.csv",
            "03/04/05 style dates: three orders are possible",
            text(lines(early, 300, NY, "%m/%d/%y %H:%M")),
            (("YY", "time_form"),),
            spec="5-MINUTE-LAST",
            options=("--timezone", NEW_YORK, "--stamp", "open"),
        ),
        Refusal(
            "currencies-midweek.csv",
            "Tuesday to Thursday, day and night: no weekend and no change of clocks shows the zone",
            text(lines(euro, 900, athens, decimals=5, volume=2)),
            (ZONE,),
            EURUSD,
            "15-MINUTE-BID",
        ),
        Refusal(
            "currencies-midweek-mt.csv",
            "MetaTrader and HistData write the same columns; no weekend shows whose zone it is",
            text(four, None),
            ((*LAYOUT, *ZONE),),
            EURUSD,
            "15-MINUTE-BID",
        ),
        Refusal(
            "server-time-winter.csv",
            "two winter weeks of a broker's server: Athens, Cairo or a fixed offset cannot be told apart for other months",
            text(four_winter, None),
            ((*LAYOUT, *ZONE),),
            EURUSD,
            "15-MINUTE-BID",
        ),
        Refusal(
            "coins-open-or-close.csv",
            "trading never stops: whole hours may be opens or closes",
            text(lines(coin, HOUR, UTC, "%Y-%m-%dT%H:%M:%SZ", volume=6)),
            (STAMP,),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
        ),
        Refusal(
            "coins-without-zone.csv",
            "trading never stops: nothing shows the zone",
            text(lines(coin, HOUR, NY, volume=6)),
            (ZONE,),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
            options=("--stamp", "open"),
        ),
        Refusal("coins-epoch.csv", "epoch hours of a market that never stops", text(epochs), (STAMP,), instrument=BTCUSDT, spec="1-HOUR-LAST"),
        Refusal(
            "midday-only.csv",
            "11:00 to 14:00: neither an open nor a close of a session shows zone and stamps",
            text(lines(noon, MINUTE, NY)),
            ((*ZONE, *STAMP),),
        ),
        Refusal(
            "thin-winter.csv",
            "few trades, first 10:03 and last 15:40: opens or closes, New York or Chicago",
            text(lines(thin, MINUTE, NY)),
            ((*ZONE, *STAMP),),
        ),
    ]


def exporters_elsewhere() -> list[Refusal]:
    """Headers of one exporter above rows that it does not write."""
    first_days = walk(midnights(weekdays("2024-02-01", "2024-02-12")), 18_500, 90, shares, 48)
    rows = []
    for bar in first_days:
        o, h, low, c = (f"${price}" for price in cents(bar))
        rows.append(f"{UTC.stamp(bar, DAY):%d/%m/%Y},{c},{bar.volume},{o},{h},{low}")
    return [
        Refusal(
            "nasdaq-day-first.csv",
            "nasdaq.com writes the month first; here that would put the days a month apart, all the same in one February",
            text(rows, "Date,Close/Last,Volume,Open,High,Low"),
            (("time-form",), ("DD/MM/YYYY",)),
            spec="1-DAY-LAST",
        )
    ]


def contradicted() -> list[Refusal]:
    """Files whose times say something else than the user, or than their exporter always writes."""
    march = walk(stock_times(MARCH, 5 * MINUTE), 17_000, 9, shares, 50)
    january = walk(stock_times(JANUARY, 5 * MINUTE), 17_000, 9, shares, 51)
    fixed = Clock("Etc/GMT+5")
    autumn = walk(round_the_clock("2024-11-02", "2024-11-05", HOUR), 6_900_000, 9_000, coins, 52)
    spring = walk(round_the_clock("2024-03-09", "2024-03-12", HOUR), 6_900_000, 9_000, coins, 53)
    weeks = walk(currency_times(["2024-03-03", "2024-03-10"], MINUTE, keep=0.02, seed=54), 108_500, 6, none, 54)
    follows = [f"{row.rpartition(',')[0].replace(',', ';')};0" for row in lines(weeks, MINUTE, NY, "%Y%m%d %H%M%S", 5)]
    odd = [bar._replace(opened=bar.opened + 107 * MINUTE) for bar in january]
    return [
        Refusal(
            "declared-fixed.csv",
            "opens at 09:30 on both sides of 2024-03-10: New York local, not a fixed offset",
            text(lines(march, 300, NY)),
            (ZONE,),
            options=("--timezone", "Etc/GMT+5"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-new-york.csv",
            "opens at 09:30, then at 08:30 after 2024-03-10: a fixed offset, not New York",
            text(lines(march, 300, fixed)),
            (ZONE,),
            options=("--timezone", NEW_YORK),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-utc.csv",
            "09:30 to 15:59 cannot be UTC for a New York share",
            text(lines(january, 300, NY)),
            (ZONE,),
            options=("--timezone", "UTC"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-close.csv",
            "first stamp 09:30, last 15:55: opens",
            text(lines(january, 300, NY)),
            (STAMP,),
            options=("--timezone", NEW_YORK, "--stamp", "close"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "declared-open.csv",
            "first stamp 09:35, last 16:00: closes",
            text(lines(january, 300, Clock(NEW_YORK, "close"))),
            (STAMP,),
            options=("--timezone", NEW_YORK, "--stamp", "open"),
            spec="5-MINUTE-LAST",
        ),
        Refusal(
            "histdata-with-summer-time.csv",
            "HistData's shape, but the week opens at 17:00 on both sides of 2024-03-10: not fixed EST",
            text(follows, None),
            ((*ZONE, *LAYOUT),),
            EURUSD,
            "1-MINUTE-BID",
        ),
        Refusal(
            "autumn-hour-twice.csv",
            "01:00 stands twice on 2024-11-03, so the times cannot be UTC",
            text(lines(autumn, HOUR, NY, volume=6)),
            (("2024-11-03",),),
            options=("--timezone", "UTC", "--stamp", "open"),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
        ),
        Refusal(
            "spring-hour-there.csv",
            "02:00 on 2024-03-10 did not exist in New York",
            text(lines(spring, HOUR, UTC, volume=6)),
            (("skip", "2024-03-10"),),
            options=("--timezone", NEW_YORK, "--stamp", "open"),
            instrument=BTCUSDT,
            spec="1-HOUR-LAST",
        ),
        Refusal(
            "an-hour-late.csv",
            "the times say that they are UTC, but sessions then last from 10:30 to 17:00 New York",
            text(lines([bar._replace(opened=bar.opened + HOUR) for bar in january], 300, UTC, "%Y-%m-%dT%H:%M:%SZ")),
            (("10:30",), ("--layout",)),
            spec="5-MINUTE-LAST",
            options=("--stamp", "open"),
        ),
        Refusal(
            "a-day-late.csv",
            "whole sessions on Saturdays",
            text(lines([bar._replace(opened=bar.opened + DAY) for bar in january], 300, NY)),
            (("2024-01-27",), ("--layout",)),
            spec="5-MINUTE-LAST",
            options=("--timezone", NEW_YORK, "--stamp", "open"),
        ),
        Refusal(
            "no-venue-hours.csv",
            "sessions from 11:17 to 17:42: no zone makes that the hours of NYSE",
            text(lines(odd, 300, NY)),
            ((*ZONE, "session", "hours"),),
            spec="5-MINUTE-LAST",
        ),
    ]


REFUSALS: dict[str, Refusal] = {
    refusal.name: refusal for group in (undecided, exporters_elsewhere, contradicted, other_shapes, damaged) for refusal in group()
}
"""Every file that must be refused, by name."""
