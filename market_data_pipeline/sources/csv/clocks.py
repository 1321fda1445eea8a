"""The clocks that a file's times may follow: what hypotheses about its zone are made of."""

from __future__ import annotations

from dataclasses import dataclass

# Each hour under each rule of DST: were the true clock no candidate, one that agrees with it in most weeks would be taken for it.
_AMERICA = (
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Halifax"),
    *(f"America/New_York+{hours}" for hours in range(2, 16)),
)
_EUROPE = ("Europe/London", "Europe/Berlin", "Europe/Athens", "Atlantic/Azores", *(f"Europe/London+{hours}" for hours in range(3, 12)))
_NAMED = (*_AMERICA[:4], *_EUROPE[:3], "Australia/Sydney", "America/New_York+6", "America/New_York+7")
_HALF_HOURS = ("Asia/Kolkata",)


@dataclass(frozen=True)
class Clock:
    """A clock that a file's times may follow.

    Attributes:
        zone: IANA name, or such a name and hours ahead.
        rule: When it changes for DST: `US`, `EU`, `AU` or `none`.
    """

    zone: str
    rule: str


def rule_of(zone: str) -> str:
    """Return by which rule a zone changes its clock, as `Clock.rule`; the zone itself where it is none that we list."""
    if zone in _AMERICA or zone in ("US/Eastern", "US/Central"):
        return "US"
    if zone in _EUROPE or (zone.startswith("Europe/") and zone != "Europe/Moscow"):
        return "EU"
    if zone == "Australia/Sydney":
        return "AU"
    return "none" if zone == "UTC" or zone.startswith("Etc/") or zone in _HALF_HOURS else zone


def clocks_of(venue_zone: str) -> tuple[Clock, ...]:
    """Return all clocks, those that are likelier for a venue first: of clocks that say the same, the first names it."""
    fixed = tuple(f"Etc/GMT{hours:+d}" for hours in sorted((*range(-14, 0), *range(1, 13)), key=abs))
    zones = dict.fromkeys((venue_zone, "UTC", *_NAMED, *fixed, *_HALF_HOURS, *_AMERICA, *_EUROPE))
    return tuple(Clock(zone, rule_of(zone)) for zone in zones)
