"""What a person does on the Dagster page, with a mouse and a keyboard, and the pictures that are kept of it.

The pictures go to the folder that MDP_GALLERY names, else to the test's own. Those of the documents are made anew, and looked at, by

    MDP_GALLERY=gallery .venv/bin/python -m pytest market_data_pipeline_tests/orchestration/test_walk.py
    cp gallery/page.png gallery/session.png gallery/backfill.png gallery/run.png gallery/availability.png gallery/tick.png docs/images
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from PIL import Image

from market_data_pipeline_tests.browser import Browser
from market_data_pipeline_tests.orchestration.page import ENDED, Page

_DIALOG, _LIST = ".dagster-dialog", ".dagster-popover"
_ENTER = 13
_SWITCH = """(name => {
    const row = document.querySelector(`a[href$="/${name}"]`)?.parentElement;
    const found = row?.lastElementChild.querySelector('label, [role=switch]');
    if (!found) return null;
    const box = found.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
})('%s')"""
_IS_ON = """document.querySelector('a[href$="/%s"]')?.parentElement.lastElementChild.querySelector('input')?.checked === true"""
_EDITOR = """(() => {
    const box = document.querySelector('.CodeMirror-scroll, .cm-content')?.getBoundingClientRect();
    return box ? [box.x + 300, box.y + 60] : null;
})()"""
_RUNS = "{ runsOrError(limit: 100) { ... on Runs { results { runId status jobName } } } }"
_RUN = """query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"""


class Walk:
    """A person at the page.

    Attributes:
        browser: The browser.
        page: The page that it looks at, for waiting and counting only: whatever changes something is clicked.
    """

    def __init__(self, browser: Browser, page: Page, folder: Path) -> None:
        self.browser, self.page = browser, page
        self._gallery = Path(os.environ.get("MDP_GALLERY") or folder / "gallery").resolve()
        self._gallery.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self.keep("failure")

    def open(self, path: str, text: str, timeout_s: float = 60) -> None:
        """Open a page by its path, and wait until it shows a text."""
        self.browser.goto(self.page.url + path)
        self.browser.wait_for_text(text, timeout_s)

    def open_until(self, path: str, text: str, timeout_s: float = 90) -> None:
        """Open a page again and again until it shows a text, as a person who waits for it does."""
        give_up = time.monotonic() + timeout_s
        while True:
            self.browser.goto(self.page.url + path)
            if self._within(lambda: text in self.browser.text(), 4):
                return
            assert time.monotonic() < give_up, f"{path} does not show {text!r} within {timeout_s} s:\n{self.browser.text()[:2000]}"

    def asset(self, asset: str, view: str, text: str, partition: str = "") -> None:
        """Open a tab of an asset's page, with a partition chosen in it."""
        self.open(f"/assets/{asset}?view={view}" + (f"&partition={partition}" if partition else ""), text)

    def materialize(self, instruments: Sequence[str], dates: str = "", picture: str = "") -> None:
        """Fill in the dialog of the asset whose page is open, and launch: dates as the dialog wants them, then one instrument after the other."""
        self.browser.click_text("Materialize…")
        self.until_either("Launch", "Are you sure?")
        if "Are you sure?" in self.browser.text():  # something that it depends on has not been made yet
            self.browser.click_text("Confirm")
            self.browser.wait_for_text("Partition selection")
        if dates:
            self.browser.click_text("ex: ", within=_DIALOG)
            self.browser.type_text(dates)
            self.browser.press("Enter", _ENTER)
        if instruments:
            self.browser.click_text("Select a partition or create one", within=_DIALOG)
            for instrument in instruments:
                self.browser.click_text(instrument, within=_LIST)
        else:
            self.browser.click_text("All", within=_DIALOG)
        if picture:
            time.sleep(0.5)
            self.keep(picture)
        self.browser.click_text("Launch", within=f"{_DIALOG} button")
        self.browser.wait_until(f"!document.querySelector('{_DIALOG}')", what="the end of the dialog")

    def switch_on(self, name: str) -> None:
        """Turn a sensor or schedule on, at its switch on the page Automation."""
        # All switches look off until the page knows better, and a click on one is lost. This one is on from the start.
        self.browser.wait_until(_IS_ON % "watchlist_sync", 60, what="the state of the switches")
        self.browser.click_where(_SWITCH % name, f"no switch of {name}")
        self.browser.wait_until(_IS_ON % name, 60, what=f"{name} switched on")

    def write_config(self, text: str) -> None:
        """Put a text in the place of what the editor of a launchpad holds."""
        self.browser.click_where(_EDITOR, "no editor")
        self.browser.press("a", 65, modifiers=2)
        self.browser.type_text(text)

    def run_on_screen(self) -> str:
        """Return the id of the run whose page is open; wait for it."""
        self.browser.wait_until("location.pathname.startsWith('/runs/') && location.pathname.length > 20", 30, "the page of a run")
        return str(self.browser.evaluate("location.pathname")).split("/")[2]

    def status_of(self, run: str) -> str:
        """Return the status of a run."""
        return str(self.page.ask(_RUN, {"id": run})["runOrError"]["status"])

    def runs(self) -> list[dict[str, str]]:
        """Return all runs, the newest first."""
        found: list[dict[str, str]] = self.page.ask(_RUNS)["runsOrError"]["results"]
        return found

    def wait_for_new_runs(self, before: Sequence[dict[str, str]], number: int = 1, timeout_s: float = 90) -> list[dict[str, str]]:
        """Wait until so many runs that a person launched at an asset, and that were not there before, have ended; return them.

        Runs that sensors launch meanwhile are runs of named jobs, and do not count.
        """
        known = {run["runId"] for run in before}
        new: list[dict[str, str]] = []

        def ended() -> bool:
            new[:] = [run for run in self.runs() if run["runId"] not in known and run["jobName"] == "__ASSET_JOB"]
            return len(new) >= number and all(run["status"] in ENDED for run in new)

        assert self._within(ended, timeout_s), f"{new} after {timeout_s} s"
        return new

    def wait_for(self, holds: Callable[[], bool], timeout_s: float = 90) -> None:
        """Wait until something holds."""
        assert self._within(holds, timeout_s), f"not within {timeout_s} s"

    def keep(self, name: str, height: int = 0) -> None:
        """Keep a picture of what the window shows, or of its upper part."""
        self._gallery.joinpath(f"{name}.png").write_bytes(smaller(self.browser.picture(), height))

    def until_either(self, *texts: str) -> None:
        """Wait until the page shows one of several texts."""
        self.wait_for(lambda: any(text in self.browser.text() for text in texts), 20)

    @staticmethod
    def _within(holds: Callable[[], bool], timeout_s: float) -> bool:
        give_up = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > give_up:
                return False
            time.sleep(0.2)
        return True


def smaller(png: bytes, height: int = 0) -> bytes:
    """Return a picture with 256 colours, a third of its bytes, and cut below `height` if that is not 0."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if height:
        picture = picture.crop((0, 0, picture.width, min(height, picture.height)))
    out = io.BytesIO()
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "png", optimize=True)
    return out.getvalue()
