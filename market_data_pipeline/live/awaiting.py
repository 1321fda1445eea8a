"""Wait for the gateway before a node is built.

Nautilus' Interactive Brokers client (1.230) connects inside `node.build()`, for ever and deaf to Ctrl-C; and a node that was built in a running loop
and found no gateway starts no strategy, even if one comes up later.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from market_data_pipeline.domain.errors import SourceUnavailable
from market_data_pipeline.sources.ibkr import IbkrGateway, IbkrSettings, ServerFacts

_BETWEEN_TRIES_S = 5.0
# At once, also into a file or a pipe: whoever waits wants to know for what.
_TELL = functools.partial(print, flush=True)


def await_gateway(settings: IbkrSettings, patience_s: float = 300.0, tell: Callable[[str], None] = _TELL) -> ServerFacts:
    """Return what a gateway says of itself, as soon as it answers.

    Args:
        settings: Where it is. `IbkrSettings.from_environment(host=…, port=…)` for those of a node's client.
        patience_s: Seconds to go on trying.
        tell: Called with one line for a person, each time that it does not answer for another reason than before.

    Raises:
        SourceUnavailable: If it does not answer in time; the message says what to do.
        SourceRefused: If it is logged in to another kind of account than meant.
    """
    until, said = time.monotonic() + patience_s, ""
    while True:
        try:
            with IbkrGateway(settings) as gateway:
                return gateway.server_facts()
        except SourceUnavailable as error:
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise
            if str(error) != said:
                said = str(error)
                tell(f"{said} Trying again for {left_s:.0f} s.")
            time.sleep(min(_BETWEEN_TRIES_S, left_s))
