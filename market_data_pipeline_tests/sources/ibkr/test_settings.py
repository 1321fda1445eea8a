from __future__ import annotations

from pathlib import Path

import pytest

from market_data_pipeline.domain.errors import ConfigurationError
from market_data_pipeline.sources.ibkr import AccountMode, IbkrSettings


def test_an_empty_environment_means_a_paper_gateway_on_this_machine() -> None:
    settings = IbkrSettings.from_environment({})
    assert (settings.place, settings.client_id, settings.connect_timeout_s, settings.request_timeout_s) == ("127.0.0.1:4002", 40, 5.0, 120.0)
    assert (settings.request_sizes, settings.pacing, settings.retries, settings.account_mode) == ("documented", "strict", 3, AccountMode.ANY)


def test_every_variable_is_read() -> None:
    settings = IbkrSettings.from_environment(
        {
            "IB_HOST": "gateway",
            "IB_PORT": "4001",
            "IB_CLIENT_ID": "7",
            "IB_CLIENT_IDS": "3",
            "IB_TIMEOUT": "2.5",
            "IB_REQUEST_TIMEOUT": "60",
            "IB_REQUEST_SIZES": "observed",
            "IB_PACING": "relaxed",
            "IB_PACING_DB": "/var/lib/pacing.sqlite",
            "IB_RETRIES": "0",
            "IB_ACCOUNT_MODE": "paper",
            "IB_IN_FLIGHT": "2",
            "IB_RECONNECT": "30",
            "IB_STATE": "/var/lib/ibkr",
        }
    )
    assert settings == IbkrSettings(
        host="gateway",
        port=4001,
        client_id=7,
        client_ids=3,
        connect_timeout_s=2.5,
        request_timeout_s=60.0,
        request_sizes="observed",
        pacing="relaxed",
        pacing_db="/var/lib/pacing.sqlite",
        retries=0,
        account_mode=AccountMode.PAPER,
        in_flight=2,
        reconnect_s=30.0,
        state=Path("/var/lib/ibkr"),
    )


def test_what_is_given_wins_over_the_environment() -> None:
    assert IbkrSettings.from_environment({"IB_PORT": "4001", "IB_HOST": "there"}, port=7497, host=None).place == "there:7497"


def test_a_variable_that_is_set_but_empty_counts_as_not_set() -> None:
    assert IbkrSettings.from_environment({"IB_PORT": " "}).port == 4002


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IB_PORT", "forty"),
        ("IB_PORT", "70000"),
        ("IB_CLIENT_ID", "0"),
        ("IB_CLIENT_IDS", "33"),
        ("IB_TIMEOUT", "0"),
        ("IB_TIMEOUT", "nan"),
        ("IB_REQUEST_TIMEOUT", "-1"),
        ("IB_REQUEST_SIZES", "huge"),
        ("IB_RETRIES", "-1"),
        ("IB_ACCOUNT_MODE", "demo"),
        ("IB_IN_FLIGHT", "0"),
    ],
)
def test_a_wrong_value_is_one_clear_message_that_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^{variable}='{value}(\.0)?' cannot be meant: write "):
        IbkrSettings.from_environment({variable: value})


def test_waits_grow_and_the_last_one_stays() -> None:
    settings = IbkrSettings()
    assert [settings.retry_wait_s(retry) for retry in range(1, 8)] == [15, 30, 60, 120, 300, 600, 600]
