"""A real browser for tests of pages."""

from __future__ import annotations

from market_data_pipeline_tests.browser.chromium import Browser, BrowserError

__all__ = ["Browser", "BrowserError"]
