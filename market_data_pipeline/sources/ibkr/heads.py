"""Head time stamps: from when on IBKR has data of a contract, kept between runs because each costs a request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from market_data_pipeline.domain.source import SourceNews
from market_data_pipeline.sources.ibkr.contracts import asking_contract
from market_data_pipeline.sources.ibkr.remembered import Remembered
from market_data_pipeline.sources.ibkr.settings import Hours, IbkrSettings

if TYPE_CHECKING:
    from ib_async.contract import ContractDetails

    from market_data_pipeline.sources.ibkr.gateway import IbkrGateway

DAY_S = 86_400.0


@dataclass(frozen=True)
class Head:
    """From when on there is data.

    Attributes:
        earliest_ns: UTC nanoseconds; None if there is none.
        age_s: Seconds since the gateway said so; 0 if it was asked just now.
    """

    earliest_ns: int | None
    age_s: float = 0.0


class Heads:
    """Head time stamps by gateway, login, contract, price and hours."""

    def __init__(self, settings: IbkrSettings, max_age_s: float = DAY_S) -> None:
        self._kept = Remembered(settings.state_folder / "heads.json")
        self._place = settings.place
        self._max_age_s = max_age_s

    def ask(
        self, gateway: IbkrGateway, details: ContractDetails, what: str, hours: Hours, listener: Callable[[SourceNews], None] | None = None
    ) -> Head:
        """Return what was told before, or ask for it; asking counts as a request for bars.

        Raises:
            SourceError: If the gateway cannot be asked, or refuses.
        """
        contract = asking_contract(details)
        key = f"{self._place} {gateway.login()} {contract.conId} {what} {hours}"
        known = self._kept.get(key, self._max_age_s)
        if known is not None and isinstance(known.value, int | None):
            return Head(known.value, known.age_s)
        earliest_ns = gateway.head_time_stamp(contract, what, hours, listener)
        self._kept.put(key, earliest_ns)
        return Head(earliest_ns)

    def clear(self) -> bool:
        """Forget everything; return whether there was anything."""
        return self._kept.clear()
