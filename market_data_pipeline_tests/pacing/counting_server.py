"""A server that stamps each request as it arrives, answers after a while, and lets the test count breaches by itself.

    python -m market_data_pipeline_tests.pacing.counting_server ARRIVALS SECONDS

Prints its port. Every line that arrives goes to the file ARRIVALS behind its time stamp; the answer comes after up to SECONDS.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path


async def serve(arrivals: Path, slowest_s: float) -> None:
    """Serve until killed."""
    rng = random.Random(7)
    with arrivals.open("w", buffering=1) as log:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                log.write(f"{time.monotonic():.6f} {line.decode()}")
                await asyncio.sleep(rng.uniform(0, slowest_s))
                writer.write(b"ok\n")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
