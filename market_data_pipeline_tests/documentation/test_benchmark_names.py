"""The benchmarks that documents name are there: they take too long to be run with the documents."""

from __future__ import annotations

import re

from bench.__main__ import BENCHMARKS
from market_data_pipeline_tests.conftest import REPOSITORY

_NAMED = re.compile(r"\./dev bench ((?:[a-z]+ ?)+)`")


def test_every_benchmark_that_a_document_names_is_there() -> None:
    documents = [REPOSITORY / "README.md", REPOSITORY / "CHANGELOG.md", *(REPOSITORY / "docs").glob("*.md")]
    named = {(path.name, name) for path in documents for match in _NAMED.findall(path.read_text(encoding="utf-8")) for name in match.split()}
    assert ("postgres.md", "m") in named
    assert not {(document, name) for document, name in named if name not in BENCHMARKS}
