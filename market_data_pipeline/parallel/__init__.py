"""Work that is spread over the cores of a machine, one piece at a time in each of a few processes."""

from market_data_pipeline.parallel.pool import Ended, Tell, Told, in_processes
from market_data_pipeline.parallel.worker import cores

__all__ = ["Ended", "Tell", "Told", "cores", "in_processes"]
