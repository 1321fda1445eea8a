"""Nautilus instruments from contract details, by Nautilus' own parser, so that ids equal what its live adapter makes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from market_data_pipeline.domain.bar_types import venue_of
from market_data_pipeline.domain.errors import SourceRefused

if TYPE_CHECKING:
    from ib_async.contract import ContractDetails
    from nautilus_trader.model.instruments import Instrument

_OWN_VENUES = {"CFD": "IBCFD", "CMDTY": "IBCMDTY"}  # Nautilus' names
_ISIN = "ISIN"
_NO_ISIN = "NONE"  # stands in for it while Nautilus parses
_SIZES = ("minSize", "sizeIncrement", "suggestedSizeIncrement")


def instrument_of(details: ContractDetails, instrument_id: str | None = None) -> Instrument:
    """Return the definition of a contract.

    Args:
        details: What the gateway says of the contract.
        instrument_id: The id it was asked for under; its venue is kept (AAPL.XNAS), and so is a two-digit year (ESZ24.CME). None for the id that
            Nautilus' live adapter makes.

    Raises:
        SourceRefused: If Nautilus cannot make an instrument of it.
    """
    from nautilus_trader.adapters.interactive_brokers.parsing.instruments import parse_instrument

    venue = venue_of(instrument_id) if instrument_id else venue_of_contract(details)
    parsed = _for_nautilus(details)
    has_isin = any(tag.tag == _ISIN for tag in parsed["secIdList"] or ())
    if not has_isin and parsed["contract"].secType == "STK":
        # Nautilus' parser refuses a stock without one ("No ISIN found").
        parsed["secIdList"] = [*(parsed["secIdList"] or ()), _tag(_ISIN, _NO_ISIN)]
    try:
        instrument = parse_instrument(_ib_details(parsed), venue)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceRefused(f"Nautilus cannot make an instrument of {_name(details)}: {error}") from error
    changes: dict[str, Any] = {}
    if not has_isin and parsed["contract"].secType == "STK":
        changes["isin"] = None
        changes["info"] = _without_isin(instrument.info)
    if instrument_id and str(instrument.id) != instrument_id:
        changes["id"] = instrument_id
    return _changed(instrument, changes) if changes else instrument


def venue_of_contract(details: ContractDetails) -> str:
    """Return the venue that Nautilus' live adapter gives a contract: a stock's primary exchange, else the exchange."""
    contract = details.contract
    assert contract is not None
    if contract.secType in _OWN_VENUES:
        return _OWN_VENUES[contract.secType]
    if contract.primaryExchange and contract.primaryExchange != "SMART" and (contract.secType == "STK" or contract.exchange == "SMART"):
        return contract.primaryExchange
    return contract.exchange


def _for_nautilus(details: ContractDetails) -> dict[str, Any]:
    """Return details of ib_async as the fields that ibapi would have made of the same message. A copy: the parser changes what it is given."""
    from nautilus_trader.adapters.interactive_brokers.common import IBContract

    fields = dict(vars(details))
    contract = dict(vars(details.contract))
    fields["contract"] = IBContract(**contract)
    fields["secIdList"] = [_tag(tag.tag, tag.value) for tag in fields["secIdList"]] or None
    for name in _SIZES:
        fields[name] = Decimal(f"{fields[name]:.10f}".rstrip("0").rstrip("."))
    fields["evMultiplier"] = float(fields["evMultiplier"])
    return fields


def _ib_details(fields: dict[str, Any]) -> Any:
    import msgspec
    from nautilus_trader.adapters.interactive_brokers.common import IBContractDetails

    known = {field.name for field in msgspec.structs.fields(IBContractDetails)}
    return IBContractDetails(**{name: value for name, value in fields.items() if name in known})


def _tag(tag: str, value: str) -> Any:
    from ibapi.tag_value import TagValue

    return TagValue(tag, value)


def _without_isin(info: dict[str, Any]) -> dict[str, Any]:
    others = {tag: value for tag, value in (info.get("secIdList") or {}).items() if tag != _ISIN}
    return {**info, "secIdList": others or None}


def _changed(instrument: Instrument, changes: dict[str, Any]) -> Instrument:
    """Return a definition with other fields."""
    return type(instrument).from_dict({**type(instrument).to_dict(instrument), **changes})


def _name(details: ContractDetails) -> str:
    contract = details.contract
    return f"conId {contract.conId} ({contract.localSymbol or contract.symbol})" if contract else "a contract without a name"
