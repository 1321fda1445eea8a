"""Options that many commands share, and what they mean together."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from market_data_pipeline.domain.errors import UsageError

if TYPE_CHECKING:
    from market_data_pipeline.catalog import Catalog

CATALOG_VARIABLE, CONFIG_VARIABLE = "MDP_CATALOG", "MDP_CONFIG"
# Of the commands that work on a catalog.
_COMMAND = re.compile(r"\bmdp (load|import-csv|catalog|check|instruments|migrate|revisions|warmup)\b")
DEFAULT_CATALOG = Path("data/catalog")
DEFAULT_CONFIG = Path("config/watchlist.yaml")


def _is_no_id(context: typer.Context, bar: str) -> str:
    """Say what is missing, or how a bar type is written here, before typer misses the argument before this one."""
    from market_data_pipeline.domain.bar_types import BarSpec, refuse_bar_type
    from market_data_pipeline.domain.errors import InvalidBarType

    refuse_bar_type(bar, context.info_name or "load")
    try:
        BarSpec.parse(bar)
    except InvalidBarType as error:
        if "-" in bar:
            raise
        raise UsageError(f"{error} After the instrument come its bars: mdp {context.info_name} {bar} 1-MINUTE-LAST") from None
    return bar


CatalogOption = Annotated[
    Path | None, typer.Option("--catalog", metavar="PATH", help="Folder of the Parquet catalog.  [env: MDP_CATALOG; default: data/catalog]")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="YAML", help="The watchlist.  [env: MDP_CONFIG; default: config/watchlist.yaml, if there is one]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
IdsArgument = Annotated[list[str] | None, typer.Argument(metavar="ID", help="Instrument ids (AAPL.NASDAQ) or bar types; all if none.")]
SpecArgument = Annotated[
    str, typer.Argument(metavar="SPEC", is_eager=True, callback=_is_no_id, help="STEP-UNIT-PRICE, for example 1-MINUTE-LAST or 1-DAY-MID.")
]
BarOption = Annotated[str | None, typer.Option("--bar", metavar="SPEC", help="Only bars of this spec, for example 1-MINUTE-LAST.")]
StartOption = Annotated[str | None, typer.Option("--start", metavar="DATE", help="First session, YYYY-MM-DD, inclusive.")]
EndOption = Annotated[str | None, typer.Option("--end", metavar="DATE", help="Last session, YYYY-MM-DD, inclusive.")]
InstrumentsOption = Annotated[
    Path | None,
    typer.Option("--instruments", metavar="YAML", help="Instrument definitions.  [default: the watchlist's, else instruments.yaml in this folder]"),
]
HostOption = Annotated[str | None, typer.Option("--host", metavar="HOST", help="Where IB Gateway or TWS listens.  [env: IB_HOST]")]
PortOption = Annotated[int | None, typer.Option("--port", metavar="N", min=1, max=65_535, help="Its port.  [env: IB_PORT]")]
ClientIdOption = Annotated[int | None, typer.Option("--client-id", metavar="N", min=1, help="First client id to try.  [env: IB_CLIENT_ID]")]


@dataclass(frozen=True)
class Place:
    """Where a command works.

    Attributes:
        root: The catalog's folder.
        config: The watchlist, or None.
        on_command_line: True where the catalog was named by an option, so that a command to type next must name it too.
    """

    root: Path
    config: Path | None
    on_command_line: bool

    @classmethod
    def of(cls, context: typer.Context, catalog: Path | None, config: Path | None) -> Place:
        """Return what the options mean: after the command they win over before it, then comes the environment, then the default.

        Raises:
            UsageError: If the watchlist that an option names is not there.
        """
        before = context.find_root().params
        root: Path | None = catalog or before.get("catalog")
        watchlist: Path | None = config or before.get("config")
        if watchlist is not None and not watchlist.is_file():
            raise UsageError(f"--config {watchlist}: there is no such file.")
        return cls(
            root=root or Path(os.environ.get(CATALOG_VARIABLE) or DEFAULT_CATALOG),
            config=watchlist or _default_config(),
            on_command_line=root is not None,
        )

    @contextmanager
    def opened(self) -> Iterator[Catalog]:
        """Lend the catalog; makes nothing.

        Raises:
            UsageError: If its path is a file.
        """
        from market_data_pipeline.catalog import Catalog
        from market_data_pipeline.cli.catalog_notes import tell_catalog_notes

        tell_catalog_notes()
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"{self.root} is a file, and a Parquet catalog is a folder. Give another with --catalog PATH.")
        catalog = Catalog.open(self.root)
        try:
            yield catalog
        finally:
            catalog.ledger.close()

    def remark(self, text: Iterable[str]) -> list[str]:
        """Return a line that says how the commands in a text reach this catalog, where they do not by themselves: deeper layers know no options."""
        if not self.on_command_line or not any(_COMMAND.search(line) and "--catalog" not in line for line in text):
            return []
        return [f"  for this catalog, add to such a command: --catalog {shlex.quote(str(self.root))}"]

    def command(self, *words: str) -> str:
        """Return a command to type next, for this catalog; words in capitals stay as they are."""
        catalog = ["--catalog", str(self.root)] if self.on_command_line else []
        return shlex.join(["mdp", *words, *catalog])


def _default_config() -> Path | None:
    given = os.environ.get(CONFIG_VARIABLE)
    if given:
        return Path(given)
    return DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None
