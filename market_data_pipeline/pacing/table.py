"""The table that all processes of an account ask before they send a request.

    with PacingTable.open(None, STRICT, account="DU1234567") as table:
        while isinstance(leave := table.try_acquire(request), Wait):
            sleep(leave.seconds)
        client.send(...)
        table.sent(leave)
        ...                          # the answer comes, or an error for this request
        table.answered(leave)

`acquire` does the loop. In asyncio, run `try_acquire` in a thread (`await asyncio.to_thread(table.try_acquire, request)`) and sleep with
`asyncio.sleep(leave.seconds)`.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from market_data_pipeline.domain.bar_types import NANOSECONDS
from market_data_pipeline.domain.errors import ConfigurationError, StorageFailed
from market_data_pipeline.domain.pacing import STRICT, Decision, Grant, PacingProfile, Wait, decide
from market_data_pipeline.domain.pacing_budget import Budget, PacingUser, uses_of
from market_data_pipeline.domain.pacing_windows import NOT_YET, PacedRequest, PastRequest, WaitingRequest
from market_data_pipeline.pacing.clock import Timeline, Watch
from market_data_pipeline.pacing.database import Database, Found, PostgresDatabase, SqliteDatabase, Transaction
from market_data_pipeline.pacing.processes import Process

SCHEMA_VERSION = 1

_TABLES = (
    "CREATE TABLE IF NOT EXISTS pacing_version (version INTEGER PRIMARY KEY)",
    """CREATE TABLE IF NOT EXISTS pacing_accounts (
        account VARCHAR(100) PRIMARY KEY, epoch VARCHAR(100) NOT NULL, offset_ns BIGINT NOT NULL, now_ns BIGINT NOT NULL,
        refused_until_ns BIGINT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS pacing_requests (
        id {id_column}, account VARCHAR(100) NOT NULL, kind VARCHAR(16) NOT NULL, bar_seconds BIGINT NOT NULL, weight INTEGER NOT NULL,
        contract_key VARCHAR(32) NOT NULL, identity_key VARCHAR(32) NOT NULL, granted_ns BIGINT NOT NULL, sent_ns BIGINT NOT NULL,
        answered_ns BIGINT NOT NULL, is_open INTEGER NOT NULL,
        host VARCHAR(255) NOT NULL, world VARCHAR(255) NOT NULL, pid BIGINT NOT NULL, started BIGINT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS pacing_requests_by_time ON pacing_requests (account, sent_ns)",
    "CREATE INDEX IF NOT EXISTS pacing_requests_open ON pacing_requests (account) WHERE is_open = 1",
    """CREATE TABLE IF NOT EXISTS pacing_waiting (
        id {id_column}, account VARCHAR(100) NOT NULL, kind VARCHAR(16) NOT NULL, bar_seconds BIGINT NOT NULL, weight INTEGER NOT NULL,
        identity_key VARCHAR(32) NOT NULL, ready_ns BIGINT NOT NULL, due_ns BIGINT NOT NULL,
        host VARCHAR(255) NOT NULL, world VARCHAR(255) NOT NULL, pid BIGINT NOT NULL, started BIGINT NOT NULL)""",
)
_VERSION = "INSERT INTO pacing_version (version) SELECT CAST(:version AS INTEGER) WHERE NOT EXISTS (SELECT 1 FROM pacing_version)"
_PAST = (
    "SELECT kind, bar_seconds, weight, contract_key, identity_key, sent_ns, answered_ns, is_open "
    "FROM pacing_requests WHERE account = :account AND (sent_ns > :since OR is_open = 1)"
)
_PAST_WITH_OWNERS = _PAST.replace(" FROM", ", id, host, world, pid, started, granted_ns FROM")
_WAITING = (
    "SELECT kind, bar_seconds, weight, ready_ns, due_ns, id, host, world, pid, started, identity_key "
    "FROM pacing_waiting WHERE account = :account ORDER BY id"
)
_GRANT = (
    "INSERT INTO pacing_requests (account, kind, bar_seconds, weight, contract_key, identity_key, granted_ns, sent_ns, answered_ns, is_open, "
    "host, world, pid, started) VALUES (:account, :kind, :bar_seconds, :weight, :contract_key, :identity_key, :now, :not_yet, :not_yet, 1, "
    ":host, :world, :pid, :started) RETURNING id"
)
_QUEUE_UP = (
    "INSERT INTO pacing_waiting (account, kind, bar_seconds, weight, identity_key, ready_ns, due_ns, host, world, pid, started) "
    "VALUES (:account, :kind, :bar_seconds, :weight, :identity_key, :ready, :due, :host, :world, :pid, :started)"
)
_SENT = "UPDATE pacing_requests SET sent_ns = :now WHERE id = :id AND sent_ns = :not_yet"
_ANSWERED = "UPDATE pacing_requests SET answered_ns = :now, is_open = 0 WHERE id = :id AND is_open = 1"
_OVER = "UPDATE pacing_requests SET is_open = 0 WHERE id = :id"
# Someone who was told when to come and is this late has given up without a word; their place goes to the next.
_LATE_NS = NANOSECONDS
# Longest sleep between two looks: a place may come free sooner than it was foreseen, when a process dies.
_LOOK_S = 5.0
_KEPT_NS = 3_600 * NANOSECONDS
_PRUNED_EVERY = 64


def default_place() -> Path:
    """Return the file that all processes of this user on this host share: below XDG_STATE_HOME or ~/.local/state.

    Raises:
        ConfigurationError: If there is no home.
    """
    given = os.environ.get("XDG_STATE_HOME", "")
    try:
        # A relative XDG_STATE_HOME must be ignored (XDG Base Directory Specification).
        home = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError:
        raise ConfigurationError(
            "There is no home folder to keep the pacing table in. Name a file that all processes share: IB_PACING_DB=FILE."
        ) from None
    return home / "nautilus-market-data-pipeline" / "pacing.sqlite"


class PacingTable:
    """Says when the next request of an account may go, to all its processes. Safe for threads; connects on first use.

    Every call is one short transaction (a fraction of a millisecond on SQLite) and never sleeps, except `acquire`. A process that is killed
    leaves nothing that must be repaired: what it was granted counts, its open requests are taken as over.

    Raises:
        StorageFailed: From any call, if the place cannot be read or written. Then no request may go.
    """

    def __init__(self, database: Database, profile: PacingProfile = STRICT, account: str = "default") -> None:
        self.profile = profile
        self.account = account
        self._database = database
        self._watch = Watch()

    @classmethod
    def open(cls, place: Path | str | None = None, rules: PacingProfile = STRICT, account: str = "default") -> PacingTable:
        """Return the table of an account.

        Args:
            place: A SQLite file, which processes of one host share; or the URL of a PostgreSQL database for several hosts; None for the
                file that all processes of this user share.
            rules: What the account is held to. All processes of an account should be given the same.
            account: Name of account or gateway: each has requests of its own.

        Raises:
            ConfigurationError: If the URL is none that can keep the table.
        """
        text = str(place) if place is not None else ""
        if "://" in text and not text.startswith("sqlite:"):
            return cls(PostgresDatabase(text, account), rules, account)
        file = Path(text.removeprefix("sqlite:///")).expanduser() if text else default_place()
        return cls(SqliteDatabase(file), rules, account)

    def __enter__(self) -> PacingTable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database; the next call opens it again."""
        self._database.close()

    def try_acquire(self, request: PacedRequest) -> Grant | Wait:
        """Return leave to send a request now, or how long to wait before asking again. Never sleeps.

        Whoever must wait has a place in the queue, which is lost a second after the time they were told. Say `give_up` to free it at once.
        """
        with self._database.alone(self._prepare) as transaction:
            now_ns, refused_until_ns = self._now(transaction)
            queue = self._queue(transaction, now_ns)
            decision = self._decide(transaction, request, queue, now_ns, refused_until_ns)
            if decision.at_ns > now_ns and self._clear_dead(transaction, now_ns):
                queue = self._queue(transaction, now_ns)
                decision = self._decide(transaction, request, queue, now_ns, refused_until_ns)
            if decision.at_ns > now_ns:
                self._line_up(transaction, request, _own(queue, request), decision)
                return _wait(decision, now_ns)
            return self._grant(transaction, request, _own(queue, request), now_ns)

    def acquire(self, request: PacedRequest, cancelled: threading.Event | None = None, on_wait: Callable[[Wait], None] | None = None) -> Grant | None:
        """Wait until a request may go.

        Args:
            request: What is to go.
            cancelled: Set it to end the waiting at once.
            on_wait: Told each wait before it begins, at least every 5 s.

        Returns:
            Leave to send it now, or None if the waiting was cancelled.
        """
        stop = cancelled or threading.Event()
        try:
            while not stop.is_set():
                leave = self.try_acquire(request)
                if isinstance(leave, Grant):
                    return leave
                if on_wait:
                    on_wait(leave)
                stop.wait(min(leave.seconds, _LOOK_S))
        except BaseException:
            self.give_up(request)
            raise
        self.give_up(request)
        return None

    def give_up(self, request: PacedRequest) -> None:
        """Leave the queue: a request that was told to wait is not wanted any more."""
        with self._database.alone(self._prepare) as transaction:
            for row in transaction.run(_WAITING, {"account": self.account}):
                if _owner(row[6:10]) == Process.this() and row[10] == request.identity_key:
                    transaction.run("DELETE FROM pacing_waiting WHERE id = :id", {"id": row[5]})

    def sent(self, grant: Grant) -> None:
        """Report that a granted request has been written to the gateway. Until then it counts as one that is still to come."""
        self._report(_SENT, grant)

    def answered(self, grant: Grant) -> None:
        """Report that the broker answered a request, with whatever: it had arrived by now, and is open no more."""
        self._report(_SENT, grant, _ANSWERED)

    def release(self, grant: Grant) -> None:
        """Report that a request is over without an answer (timed out, cancelled, connection lost): it is open no more.

        It may still have been on its way. After `answered`, and a second time, this does nothing.
        """
        self._report(_SENT, grant, _OVER)

    def withdraw(self, grant: Grant) -> None:
        """Report that a granted request was never sent, and will not be: it does not count. After `sent` this only frees its slot."""
        self._report("DELETE FROM pacing_requests WHERE id = :id AND sent_ns = :not_yet", grant, _OVER)

    def refused(self, seconds: float = 0.0) -> None:
        """Report that the broker refused a request as too fast: nobody asks for `seconds`, nor for less than the profile says (60)."""
        with self._database.alone(self._prepare) as transaction:
            now_ns, refused_until_ns = self._now(transaction)
            until_ns = max(refused_until_ns, now_ns + round(max(seconds, self.profile.refusal_s) * NANOSECONDS))
            transaction.run(
                "UPDATE pacing_accounts SET refused_until_ns = :until WHERE account = :account", {"until": until_ns, "account": self.account}
            )

    def budget(self) -> Budget:
        """Return what is left, when the next may go, and who used it."""
        with self._database.alone(self._prepare) as transaction:
            now_ns, refused_until_ns = self._now(transaction)
            self._clear_dead(transaction, now_ns)
            rows = self._past(transaction, now_ns)
            waiting = len(self._queue(transaction, now_ns))
        past = [PastRequest(*row[:8]) for row in rows]
        uses = uses_of(self.profile, past, now_ns)
        refused_s = max(0, refused_until_ns - now_ns) / NANOSECONDS
        return Budget(
            account=self.account,
            profile=self.profile.name,
            place=self._database.name,
            uses=uses,
            open=sum(one.is_open for one in past),
            open_limit=self.profile.open,
            waiting=waiting,
            refused_s=refused_s,
            next_s=max(refused_s, uses[0].next_s),
            users=_users(rows),
        )

    def free_dead(self) -> int:
        """Take the open requests and the waiting of processes that are gone as over; return how many there were."""
        with self._database.alone(self._prepare) as transaction:
            now_ns, _ = self._now(transaction)
            return self._clear_dead(transaction, now_ns)

    def _prepare(self, transaction: Transaction) -> None:
        """Make the tables, or make sure that they are of this release."""
        for table in _TABLES:
            transaction.run(table.format(id_column=self._database.id_column), {})
        transaction.run(_VERSION, {"version": SCHEMA_VERSION})
        versions = [row[0] for row in transaction.run("SELECT version FROM pacing_version", {})]
        if versions != [SCHEMA_VERSION]:
            raise StorageFailed(
                f"The pacing table {self._database.name} has schema version {', '.join(map(str, versions))}; this release reads "
                f"{SCHEMA_VERSION}. Let all processes run one release, or name another place: IB_PACING_DB=FILE."
            )

    def _now(self, transaction: Transaction) -> tuple[int, int]:
        """Return the time on the table's own timeline, and until when nobody may ask."""
        reading_ns, epoch = transaction.clock()
        account = {"account": self.account}
        found = transaction.run("SELECT epoch, offset_ns, now_ns, refused_until_ns FROM pacing_accounts WHERE account = :account", account)
        if not found:
            transaction.run("INSERT INTO pacing_accounts VALUES (:account, :epoch, 0, :now, 0)", account | {"epoch": epoch, "now": reading_ns})
            found = [(epoch, 0, reading_ns, 0)]
        at_most_ns = self._watch.at_most_ns() if self._database.clock_may_step else None
        timeline = Timeline(*found[0][:3]).at(reading_ns, epoch, at_most_ns)
        transaction.run(
            "UPDATE pacing_accounts SET epoch = :epoch, offset_ns = :offset, now_ns = :now WHERE account = :account",
            account | {"epoch": timeline.epoch, "offset": timeline.offset_ns, "now": timeline.now_ns},
        )
        self._watch.saw(timeline.now_ns)
        return timeline.now_ns, int(found[0][3])

    def _past(self, transaction: Transaction, now_ns: int, sql: str = _PAST_WITH_OWNERS) -> list[Found]:
        return transaction.run(sql, {"account": self.account, "since": now_ns - self.profile.longest_ns})

    def _queue(self, transaction: Transaction, now_ns: int) -> list[Found]:
        """Return who waits, oldest first, without those who are late."""
        return [row for row in transaction.run(_WAITING, {"account": self.account}) if row[4] + _LATE_NS > now_ns]

    def _decide(self, transaction: Transaction, request: PacedRequest, queue: Sequence[Found], now_ns: int, refused_until_ns: int) -> Decision:
        own = _own(queue, request)
        past = [PastRequest(*row) for row in self._past(transaction, now_ns, _PAST)]
        ahead = [WaitingRequest(*row[:5]) for row in queue if own is None or row[5] < own]
        return decide(request, past, ahead, self.profile, now_ns, refused_until_ns)

    def _grant(self, transaction: Transaction, request: PacedRequest, ticket: int | None, now_ns: int) -> Grant:
        values = self._described(request) | {"contract_key": request.contract_key, "now": now_ns, "not_yet": NOT_YET}
        number = int(transaction.run(_GRANT, values)[0][0])
        if ticket is not None:
            transaction.run("DELETE FROM pacing_waiting WHERE id = :id", {"id": ticket})
        if number % _PRUNED_EVERY == 0:
            self._prune(transaction, now_ns)
        return Grant(number, request)

    def _line_up(self, transaction: Transaction, request: PacedRequest, ticket: int | None, decision: Decision) -> None:
        times = {"ready": decision.ready_ns, "due": decision.at_ns}
        if ticket is None:
            transaction.run(_QUEUE_UP, self._described(request) | times)
        else:
            transaction.run("UPDATE pacing_waiting SET ready_ns = :ready, due_ns = :due WHERE id = :id", times | {"id": ticket})

    def _described(self, request: PacedRequest) -> dict[str, str | int]:
        me = Process.this()
        return {
            "account": self.account,
            "kind": request.kind,
            "bar_seconds": request.bar_seconds,
            "weight": request.weight,
            "identity_key": request.identity_key,
            "host": me.host,
            "world": me.world,
            "pid": me.pid,
            "started": me.started,
        }

    def _clear_dead(self, transaction: Transaction, now_ns: int) -> int:
        """Take the open requests of processes that are gone, and those that nobody ended in time, as over, and their waiting as given up.

        Returns how many there were.
        A request that was granted and not reported may have been sent until its process died: it counts from now.
        """
        oldest_ns = now_ns - round(self.profile.longest_open_s * NANOSECONDS)
        alive: dict[Process, bool | None] = {}
        cleared = 0
        for row in self._past(transaction, now_ns):
            if row[7] or row[5] == NOT_YET:
                owner = _owner(row[9:13])
                if alive.setdefault(owner, owner.is_alive()) is False or row[13] < oldest_ns:
                    values = {"id": row[8], "now": now_ns, "not_yet": NOT_YET}
                    transaction.run(_SENT, values)
                    transaction.run(_OVER, values)
                    cleared += 1
        for row in transaction.run(_WAITING, {"account": self.account}):
            owner = _owner(row[6:10])
            if alive.setdefault(owner, owner.is_alive()) is False or row[4] + _LATE_NS <= now_ns:
                transaction.run("DELETE FROM pacing_waiting WHERE id = :id", {"id": row[5]})
                cleared += 1
        return cleared

    def _prune(self, transaction: Transaction, now_ns: int) -> None:
        # Other processes may be held to longer windows than this one.
        before_ns = now_ns - max(2 * self.profile.longest_ns, _KEPT_NS)
        transaction.run(
            "DELETE FROM pacing_requests WHERE account = :account AND sent_ns < :before AND is_open = 0",
            {"account": self.account, "before": before_ns},
        )

    def _report(self, sql: str, grant: Grant, *more: str) -> None:
        with self._database.alone(self._prepare) as transaction:
            now_ns, _ = self._now(transaction)
            for statement in (sql, *more):
                values = {"id": grant.id, "now": now_ns, "not_yet": NOT_YET}
                transaction.run(statement, {name: value for name, value in values.items() if f":{name}" in statement})


def _owner(columns: Found) -> Process:
    host, world, pid, started = columns
    return Process(host, world, pid, started)


def _own(queue: Sequence[Found], request: PacedRequest) -> int | None:
    """Return the place in the queue that this process has for a request."""
    me = Process.this()
    return next((int(row[5]) for row in queue if row[10] == request.identity_key and _owner(row[6:10]) == me), None)


def _wait(decision: Decision, now_ns: int) -> Wait:
    seconds = (decision.at_ns - now_ns) / NANOSECONDS
    at = dt.datetime.now().astimezone() + dt.timedelta(seconds=seconds)
    return Wait(seconds, f"{decision.reason}; the next may go at {at:%H:%M:%S %Z}")


def _users(rows: Sequence[Found]) -> tuple[PacingUser, ...]:
    requests: dict[Process, list[int]] = {}
    for row in rows:
        count = requests.setdefault(_owner(row[9:13]), [0, 0])
        count[0] += 1
        count[1] += row[7]
    busiest = sorted(requests.items(), key=lambda item: (-item[1][0], item[0]))
    return tuple(PacingUser(one.host, one.pid, count, still_open, one.is_alive()) for one, (count, still_open) in busiest)
