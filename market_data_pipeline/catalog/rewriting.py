"""Bars of some files go into others, session by session the same; used to join files and to take them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from market_data_pipeline.catalog.bar_format import bars_in, content_hash, encode_checked, read_content, to_parquet, to_parquet_of_sessions
from market_data_pipeline.catalog.folder_exchange import StagedFolder
from market_data_pipeline.catalog.layout import BarFile, file_name
from market_data_pipeline.catalog.ledger import SeriesRow, SessionRow
from market_data_pipeline.catalog.reconcile import share_of
from market_data_pipeline.domain.bar_table import BarTable
from market_data_pipeline.domain.errors import CorruptFile
from market_data_pipeline.domain.sessions import Partitions


@dataclass(frozen=True)
class Rewrite:
    """Files whose sessions are to lie in others: `ranges` are runs of partitions, each of which gets a file of its own."""

    old: tuple[BarFile, ...]
    ranges: tuple[range, ...]


class Rewriter:
    """Writes the files of rewrites into a staged folder, and makes sure that each session reads back as the ledger has it.

    Args:
        row: The series.
        partitions: Its partitions.
        kept: The ledger's rows by day number. Sessions without one are taken as the files have them.
    """

    def __init__(self, row: SeriesRow, partitions: Partitions, kept: Mapping[int, SessionRow]) -> None:
        self._row, self._partitions, self._kept = row, partitions, kept

    def write(self, rewrite: Rewrite, stage: StagedFolder) -> tuple[list[BarFile], list[SessionRow]]:
        """Return the new files, and the ledger's rows of their sessions.

        Raises:
            CorruptFile: If a file cannot be trusted, or holds other bars than the ledger has; nothing stands then.
        """
        bars = self._read(rewrite.old)
        files, rows = [], []
        for positions in rewrite.ranges:
            first, last = positions[0], positions[-1]
            start, end = int(self._partitions.starts[first]), int(self._partitions.ends[last])
            part = bars.between(start, end)
            content = self._encode(part, len(positions))
            name = file_name(start + 1, end)
            file = stage.put(name, content)
            written = bars_in(content.to_pybytes(), file.path, self._row.series, self._row.precision)
            files.append(file)
            rows += self._rows(positions, file, content_hash(content), part, written)
        return files, rows

    def _read(self, files: Iterable[BarFile]) -> BarTable:
        series, precision = self._row.series, self._row.precision
        try:
            tables = [bars_in(read_content(file.path), file.path, series, precision) for file in files]
        except CorruptFile as error:
            raise CorruptFile(f"{error}. Run `mdp catalog verify`: it moves bad files to quarantine and says what to load again.") from None
        bars = BarTable.concatenate(tables or [BarTable.empty(precision.price, precision.size)])
        if not bars.is_ordered():
            raise CorruptFile(f"{series}: two files hold the same bars. Run `mdp catalog verify`: it moves bad files to quarantine.")
        return bars

    def _encode(self, bars: BarTable, sessions: int) -> pa.Buffer:
        if sessions == 1:
            return to_parquet(encode_checked(bars, self._row.series))
        return to_parquet_of_sessions(bars, self._row.series, self._partitions)

    def _rows(self, positions: Sequence[int], file: BarFile, file_hash: str, bars: BarTable, written: BarTable) -> list[SessionRow]:
        rows = []
        for position in positions:
            window = int(self._partitions.starts[position]), int(self._partitions.ends[position])
            before, after = bars.between(*window).fingerprint(), written.between(*window)
            kept = self._kept.get(int(self._partitions.days[position]))
            if kept is None:
                assert after.fingerprint() == before
                continue
            if not before == after.fingerprint() == kept.fingerprint:
                raise CorruptFile(
                    f"{self._row.series} {kept.session}: its file holds other bars than the ledger says. Nothing was changed. "
                    f"Run `mdp catalog verify {self._row.series}`, which says what is wrong."
                )
            size = share_of(file.size, len(after), len(written), len(positions))
            rows.append(replace(kept, bytes=size, file=file.name, file_size=file.size, file_mtime_ns=file.mtime_ns, file_hash=file_hash))
        return rows
