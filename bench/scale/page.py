"""The partitions tab in a headless Chromium: how long until it is drawn, and what its queries take."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from bench.scale.project import ASSET
from market_data_pipeline_tests.browser import Browser

# Told by the page itself: each GraphQL query that it sends, and how long its answer took.
_LISTEN = """(() => { const fetch = window.fetch; window.asked = [];
window.fetch = async (...given) => {
    const began = performance.now(), answer = await fetch(...given);
    if (String(given[0]).includes('graphql') && given[1] && typeof given[1].body === 'string') {
        const name = JSON.parse(given[1].body).operationName;
        answer.clone().text().then(text => window.asked.push([name, (performance.now() - began) / 1000, text.length]));
    }
    return answer;
}; })()"""


@dataclass(frozen=True)
class Drawn:
    """One opening of a page.

    Attributes:
        seconds: Until it showed what it is opened for.
        queries: Seconds of each query that it sent meanwhile, by name; the longest where one was sent twice.
    """

    seconds: float
    queries: dict[str, float]


def open_page(url: str, view: str, text: str, timeout_s: float = 180) -> list[Drawn]:
    """Open a view of the bars asset twice in a new browser, until it shows `text`; nothing where no Chromium is installed."""
    program = Browser.installed()
    if program is None:
        return []
    drawn = []
    with Browser(program) as browser:
        browser.before_each_page(_LISTEN)
        for _ in range(2):
            browser.goto("about:blank")
            began = time.perf_counter()
            browser.goto(f"{url}/assets/{ASSET}?{view}", timeout_s)
            browser.wait_for_text(text, timeout_s)
            seconds = time.perf_counter() - began
            time.sleep(1)  # answers that came after it was drawn are counted too
            queries: dict[str, float] = {}
            for name, took, _ in json.loads(str(browser.evaluate("JSON.stringify(window.asked)"))):
                queries[name] = max(took, queries.get(name, 0.0))
            drawn.append(Drawn(seconds, queries))
    return drawn
