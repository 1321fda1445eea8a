"""A simulated gateway as a process of its own, for any test that needs a broker.

with start_gateway(tmp_path, "--now", "2024-06-03T20:30Z", "--no-pacing") as gateway:
    connect(gateway.host, gateway.port)
    assert gateway.statistics()["breaches"]["total"] == 0
"""

from market_data_pipeline_tests.gateway.process import RunningGateway, start_gateway

__all__ = ["RunningGateway", "start_gateway"]
