"""A process that sends paced requests to the counting server until it is killed or has sent enough.

python -m market_data_pipeline_tests.pacing.asking TABLE PORT NAME REQUESTS FACTOR JITTER_S
"""

from __future__ import annotations

import random
import socket
import sys
import time
from pathlib import Path

from market_data_pipeline.domain.pacing import STRICT
from market_data_pipeline.domain.pacing_windows import PacedRequest
from market_data_pipeline.pacing import PacingTable


def ask(place: str, port: int, name: str, requests: int, factor: float, jitter_s: float) -> None:
    """Send requests, each after leave was given and after up to `jitter_s` of delay on its way out."""
    rng = random.Random(name)
    table = PacingTable.open(place if "://" in place else Path(place), STRICT.scaled(factor))
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("r") as answers:
        for number in range(requests):
            tick_type = "BID_ASK" if number % 10 == 9 else "TRADES"
            request = PacedRequest(f"{name}{number % 23}", tick_type, f"{number}", 60)
            grant = table.acquire(request)
            assert grant is not None
            if rng.random() < 0.3:
                time.sleep(rng.uniform(0, jitter_s))
            connection.sendall(f"{request.contract} {request.tick_type} {request.weight} {name}{number}\n".encode())
            table.sent(grant)
            assert answers.readline() == "ok\n"
            table.answered(grant)


if __name__ == "__main__":
    ask(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6]))
