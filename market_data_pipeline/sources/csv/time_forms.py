"""How time stamps are written: ISO, epochs and patterns, each as a regular expression whose groups are the parts of the time."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from functools import lru_cache

AUTO = "auto"
EPOCH_DECIMALS = {"epoch-s": 9, "epoch-ms": 6, "epoch-us": 3, "epoch-ns": 0}
FORM_HELP = (
    "auto, iso, epoch, epoch-s, epoch-ms, epoch-us, epoch-ns, or a pattern such as 'YYYYMMDD HH:MM:SS', 'MM/DD/YYYY HH:MM' or '%d.%m.%Y %H:%M'"
)

_OFFSET = r"(?:(?P<zulu>[Zz])|(?P<sign>[+-])(?P<zh>\d\d)(?::?(?P<zm>\d\d))?)"
_ISO = (
    r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)"
    r"(?:[T ](?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?(?: ?" + _OFFSET + r")?)?"
)
# Letters of a plain pattern, longest first; MM is the month until an hour was seen.
_LETTERS = {"YYYY": "Y", "YY": "y", "DD": "d", "HH": "H", "SS": "S", "MM": "m"}
_CODES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{1,2}",
    "d": r"\d{1,2}",
    "H": r"\d{1,2}",
    "I": r"\d{1,2}",
    "M": r"\d{1,2}",
    "S": r"\d{1,2}",
    "f": r"\d{1,9}",
    "b": r"[A-Za-z]{3}",
    "p": r"[AaPp][Mm]",
}
# Forms that one reading fits: the year stands first.
_UNAMBIGUOUS = (
    *("YYYYMMDD", "YYYYMMDD HHMMSS", "YYYYMMDD HHMM", "YYYYMMDD HH:MM:SS", "YYYYMMDD HH:MM", "YYYYMMDD  HH:MM:SS", "YYYYMMDD-HH:MM:SS"),
    *("YYYYMMDDHHMMSS", "YYYYMMDDHHMM", "YYYY.MM.DD", "YYYY.MM.DD HH:MM", "YYYY.MM.DD HH:MM:SS", "YYYY/MM/DD", "YYYY/MM/DD HH:MM"),
    *("YYYY/MM/DD HH:MM:SS", "YYYY-MM-DD HHMMSS", "YYYY-MM-DD HHMM"),
)
# Forms that leave open which is day and which is month, or begin with a name: told by all stamps of a file together.
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %H%M%S", " %H%M")
_MIXED = (
    *(f"{date}{clock}" for s in "/-." for date in (f"%d{s}%m{s}%Y", f"%m{s}%d{s}%Y", f"%d{s}%m{s}%y", f"%m{s}%d{s}%y") for clock in _CLOCKS),
    *(f"{date}{clock}" for date in ("%b %d, %Y", "%d-%b-%Y", "%d %b %Y", "%b %d %Y") for clock in _CLOCKS),
    *(f"{date}{clock}" for date in ("%y%m%d", "%d%m%y", "%m%d%y") for clock in ("", " %H%M%S", " %H%M", " %H:%M", " %H:%M:%S")),
    *(f"{date}{clock}" for date in ("%Y%m%d", "%d%m%Y", "%m%d%Y") for clock in (" %H%M%S", " %H%M", " %H:%M", " %H:%M:%S")),
    *(f"%d.%m.%Y %H:%M:%S{f} GMT%z" for f in (".%f", "")),
    *(f"%Y/%m/%d{clock}" for clock in _CLOCKS),
    *(f"%Y-%m-%d{clock}" for clock in (" %I:%M %p", " %I:%M:%S %p")),
)
# IBKR's API writes the zone behind the time: 20240105 09:30:00 US/Eastern.
_ZONE_BEHIND = re.compile(r"(?P<time>.*\d) (?P<zone>[A-Za-z]+(?:[/_-][A-Za-z0-9_]+)*)", re.ASCII)
_NO_ZONES = ("am", "pm", "z")
_EPOCH_BY_DIGITS = {9: "epoch-s", 10: "epoch-s", 12: "epoch-ms", 13: "epoch-ms", 15: "epoch-us", 16: "epoch-us", 18: "epoch-ns", 19: "epoch-ns"}


@dataclass(frozen=True)
class TextForm:
    """A written form of time.

    Attributes:
        name: As it was declared.
        pattern: Regular expression over a whole stamp; groups Y y m d H I M S f b p zulu sign zh zm.
    """

    name: str
    pattern: str

    @property
    def expression(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.pattern, re.ASCII)


@dataclass(frozen=True)
class EpochForm:
    """Seconds since 1970 UTC, or thousandths, millionths, billionths of them.

    Attributes:
        name: `epoch-s` …
        decimals: Decimals that turn the number into nanoseconds: 9 for seconds.
    """

    name: str
    decimals: int


TimeForm = TextForm | EpochForm


def is_time_form(text: str) -> bool:
    """Return whether `text` can be declared as a time form."""
    return text in (AUTO, "iso", "epoch") or text in EPOCH_DECIMALS or _compiled(text) is not None


def form_named(text: str) -> TimeForm:
    """Return the form that `text` names. `auto` and `epoch` need an example: see `form_of`.

    Raises:
        ValueError: If it names none.
    """
    if text in EPOCH_DECIMALS:
        return EpochForm(text, EPOCH_DECIMALS[text])
    pattern = _ISO if text == "iso" else _compiled(text)
    if pattern is None:
        raise ValueError(f"{text!r} is no time form")
    return TextForm(text, pattern)


def form_of(declared: str, example: str) -> TimeForm | None:
    """Return the form to read a file with, given what was declared and the first stamp.

    Under `auto` only forms are taken that one reading fits: day/month orders such as 03/04/2024 are None, and so is what is
    no time at all. Eight digits are a date.
    """
    text = example.strip()
    if declared not in (AUTO, "epoch"):
        return form_named(declared)
    if declared == "epoch" or _looks_like_epoch(text):
        return _epoch_of(text)
    for name in ("iso", *_UNAMBIGUOUS):
        form = form_named(name)
        if isinstance(form, TextForm) and form.expression.fullmatch(text):
            return form
    return None


def forms_that_may_be(example: str) -> tuple[str, ...]:
    """Return the names of all forms in which a stamp could be written; none if it is no time that we know."""
    text = example.strip()
    only = form_of(AUTO, text)
    if only is not None:
        return (only.name,)
    zone = zone_behind(text)
    if zone:
        return tuple(f"{_percent(name)} {zone}" for name in forms_that_may_be(text.removesuffix(zone).rstrip()) if name != "iso" or "T" not in text)
    found = ((name, form_named(name)) for name in _MIXED)
    return tuple(name for name, form in found if isinstance(form, TextForm) and form.expression.fullmatch(text))


def zone_behind(text: str) -> str | None:
    """Return the IANA zone that stands behind a time, or None: `US/Eastern` of `20240105 09:30:00 US/Eastern`."""
    match = _ZONE_BEHIND.fullmatch(text.strip())
    if match is None or match["zone"].lower() in _NO_ZONES:
        return None
    try:
        zoneinfo.ZoneInfo(match["zone"])
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return match["zone"]


def _percent(name: str) -> str:
    """Return a pattern of letters as one of percent codes, in which no letter of a zone's name means anything."""
    if "%" in name:
        return name
    if name == "iso":
        return "%Y-%m-%d %H:%M:%S"
    return "".join(f"%{token}" if is_code else token for token, is_code in _letter_tokens(name))


def _looks_like_epoch(text: str) -> bool:
    whole = text.partition(".")[0]
    # 12 and 14 digits may be YYYYMMDDHHMM and YYYYMMDDHHMMSS: those that begin with a year of our times are taken as such.
    return re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) is not None and len(whole) in (9, 10, 13, 16, 18, 19)


def _epoch_of(text: str) -> TimeForm | None:
    whole = text.partition(".")[0]
    if not re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII) or len(whole) not in _EPOCH_BY_DIGITS:
        return None
    return form_named(_EPOCH_BY_DIGITS[len(whole)])


@lru_cache(maxsize=64)
def _compiled(text: str) -> str | None:
    """Return the regular expression of a pattern, or None if it lacks a date, repeats a part or has an unknown code."""
    tokens = _percent_tokens(text) if "%" in text else _letter_tokens(text)
    if tokens is None:
        return None
    codes = [token for token, is_code in tokens if is_code]
    has_date = ("Y" in codes) != ("y" in codes) and "d" in codes and ("m" in codes) != ("b" in codes)
    has_clock = not {"H", "I", "M", "S", "f", "p"} & set(codes) or (("H" in codes) != ("I" in codes) and ("p" in codes) == ("I" in codes))
    if not (has_date and has_clock) or len(set(codes)) != len(codes):
        return None
    return "".join(_token_expression(tokens, i) for i in range(len(tokens)))


def _token_expression(tokens: list[tuple[str, bool]], i: int) -> str:
    token, is_code = tokens[i]
    if not is_code:
        return re.escape(token)
    if token == "z":
        return " ?" + _OFFSET
    expression = _CODES[token]
    beside = [tokens[k] for k in (i - 1, i + 1) if 0 <= k < len(tokens)]
    # One digit may stand for two (1/5/2024) only where something else than a digit ends it.
    if expression == r"\d{1,2}" and any(is_neighbour and code not in "bpz" for code, is_neighbour in beside):
        expression = r"\d{2}"
    return f"(?P<{token}>{expression})"


def _percent_tokens(text: str) -> list[tuple[str, bool]] | None:
    tokens: list[tuple[str, bool]] = []
    for part in re.findall(r"%.?|[^%]", text):
        if not part.startswith("%"):
            tokens.append((part, False))
        elif part[1:] and part[1:] in "YymdHIMSfbpz":
            tokens.append((part[1:], True))
        else:
            return None
    return tokens


def _letter_tokens(text: str) -> list[tuple[str, bool]]:
    tokens: list[tuple[str, bool]] = []
    hour_seen = False
    for part in re.findall("YYYY|YY|DD|HH|SS|MM|.", text):
        code = _LETTERS.get(part)
        if code is None:
            tokens.append((part, False))
            continue
        hour_seen |= code == "H"
        tokens.append(("M" if code == "m" and hour_seen else code, True))
    return tokens
