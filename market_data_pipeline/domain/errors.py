"""Every error that a user can meet, in one tree.

    MarketDataError                      exit 1
    ├── UsageError                       exit 2   what was typed or configured cannot be meant
    │   ├── InvalidBarType
    │   ├── InvalidInstrumentId
    │   ├── InvalidDate
    │   ├── UnknownVenue
    │   ├── InvalidPartition
    │   └── ConfigurationError                    watchlist, instruments or backtest YAML, with file and line
    ├── QuestionUnanswered               exit 3   a decision is needed and nobody is there to ask
    ├── ProcessLost                               one of several processes that share work was killed; retrying helps
    ├── SourceError
    │   ├── SourceUnavailable                     retrying helps once it is up
    │   ├── RequestTimedOut                       no answer in time; retrying, or asking for less, helps
    │   ├── PacingRefused                         the broker says that we asked too fast; retrying helps after a minute
    │   ├── SourceBusy                            the broker could not answer now; retrying helps
    │   ├── SourceRefused                         the answer is final
    │   │   ├── ContractUnknown                   the broker lists no such contract
    │   │   └── ContractAmbiguous                 several contracts fit; the message lists them
    │   ├── SessionNotInSource                    the source has nothing for sessions that were asked for
    │   └── BadRows                               rows of a file or table break a rule; nothing was written
    ├── CatalogError
    │   ├── SeriesLocked                          another process writes this series; retrying helps
    │   ├── SeriesBusy                            another process reads this series; retrying helps
    │   ├── DiskFull
    │   ├── StorageFailed
    │   ├── CorruptFile
    │   ├── PrecisionMismatch
    │   ├── BrokenBars                            bars of one session that no rule lets in; others go on
    │   ├── ConflictingBars                       two values for one bar and no rule which to take
    │   ├── NotReconciled                         the catalog differs from what it was migrated from
    │   ├── NotStored                             nothing is stored of a series that was named
    │   ├── IncompleteRange                       sessions of a range are not whole, and whole ones were asked for
    │   └── InstrumentNotFound
    └── BacktestError
        ├── DataMissing                           sessions of the range are not stored
        ├── ChecksFailed                          a blocking check of the bars fails
        └── BacktestFailed

Each message says what happened, with the values, and the command that mends it.
"""

from __future__ import annotations


class MarketDataError(Exception):
    """Root of all errors that are meant for a person."""

    retryable = False
    exit_code = 1


class UsageError(MarketDataError):
    """What was typed or configured cannot be meant."""

    exit_code = 2


class InvalidBarType(UsageError):
    """A bar spec or bar type does not follow Nautilus' grammar."""


class InvalidInstrumentId(UsageError):
    """An instrument id is not SYMBOL.VENUE."""


class InvalidDate(UsageError):
    """A date is not YYYY-MM-DD, or a range runs backwards."""


class UnknownVenue(UsageError):
    """No calendar is known for a venue."""


class InvalidPartition(UsageError):
    """A Dagster partition key or range is missing, or names no session or instrument."""


class ConfigurationError(UsageError):
    """A YAML file is wrong; the message names file, line and key."""


class QuestionUnanswered(MarketDataError):
    """A decision is needed, and nobody is at the terminal to take it."""

    exit_code = 3


class ProcessLost(MarketDataError):
    """One of several processes that share work was killed; the work of the others stands."""

    retryable = True


class SourceError(MarketDataError):
    """A source of bars could not answer."""


class SourceUnavailable(SourceError):
    """Nothing answers. Retrying helps once it is up."""

    retryable = True


class RequestTimedOut(SourceError):
    """A request got no answer in time. Retrying, or asking for less, helps."""

    retryable = True


class PacingRefused(SourceError):
    """The broker says that it was asked too fast. Retrying helps after a minute."""

    retryable = True


class SourceBusy(SourceError):
    """The broker could not answer now. Retrying helps."""

    retryable = True


class SourceRefused(SourceError):
    """The source answered that it will not serve this. Retrying does not help."""


class ContractUnknown(SourceRefused):
    """The broker lists no such contract."""


class ContractAmbiguous(SourceRefused):
    """Several contracts fit what was asked; the message lists them and says how to choose."""


class SessionNotInSource(SourceError):
    """The source has nothing for sessions that were asked for."""


class BadRows(SourceError):
    """Rows of a file or table break a rule; nothing was written."""


class CatalogError(MarketDataError):
    """The Parquet catalog could not do what was asked."""


class SeriesLocked(CatalogError):
    """Another process writes this series. Retrying helps when it is done."""

    retryable = True


class SeriesBusy(CatalogError):
    """Another process reads this series, and must not lose the files under it. Retrying helps when it is done."""

    retryable = True


class DiskFull(CatalogError):
    """There is not enough room for what would be written."""


class StorageFailed(CatalogError):
    """The file system refused a read or a write."""


class CorruptFile(CatalogError):
    """A file of the catalog is not what it should be."""


class PrecisionMismatch(CatalogError):
    """Values need more decimals than the instrument has, or than the stored series has."""


class BrokenBars(CatalogError):
    """Bars of one session lie outside its window or break a rule that every stored bar obeys; it was not stored."""


class ConflictingBars(CatalogError):
    """Two different values for one bar, and no rule which to take."""


class NotReconciled(CatalogError):
    """What was migrated is not in the catalog as it is in its source, or was refused."""


class NotStored(CatalogError):
    """Nothing is stored of a series that was named."""


class IncompleteRange(CatalogError):
    """Sessions of a range are missing or stored in part, and only whole ones were wanted."""


class InstrumentNotFound(CatalogError):
    """No definition is stored or configured for an instrument id."""


class BacktestError(MarketDataError):
    """A backtest could not be run."""


class DataMissing(BacktestError):
    """Sessions of the range are not stored."""


class ChecksFailed(BacktestError):
    """A blocking check of the bars that a backtest would use fails."""


class BacktestFailed(BacktestError):
    """The engine stopped, or gave no result."""
