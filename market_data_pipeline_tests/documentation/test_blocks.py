from __future__ import annotations

import pytest

from market_data_pipeline_tests.documentation.blocks import BadBlock, Command, commands_of, missing_line

_DOCUMENT = """# Title
Text with `$ not a command`.

```console
$ mdp check AAPL.NASDAQ
AAPL.NASDAQ: 61 sessions
$ dagster job execute -j us_equities_bars \\
    --tags '{}'
```

```yaml
a: 1
```
"""


def test_commands_come_in_order_with_line_and_output() -> None:
    assert commands_of(_DOCUMENT) == [
        Command(5, "mdp check AAPL.NASDAQ", ("AAPL.NASDAQ: 61 sessions",)),
        Command(7, "dagster job execute -j us_equities_bars \\\n    --tags '{}'", ()),
    ]


@pytest.mark.parametrize(
    ("markdown", "problem"),
    [
        ("```console no-test\n$ true\n```", "line 1: ```console no-test is none of"),
        ("text\n\n```bash\ntrue\n```", "line 3: ```bash is none of"),
        ("```sh\n./dev run\n```", "must begin with a command"),
        ("```console\n```", "must begin with a command"),
        ("```text\n$ true\n```", "would not be run"),
        ("```console\n$ true\n", "not closed"),
        ("```console\n$ cat <<'END'\ntext\n```", "line 2: the here-document has no line END"),
    ],
)
def test_a_block_that_would_escape_the_test_is_refused(markdown: str, problem: str) -> None:
    with pytest.raises(BadBlock, match=problem):
        commands_of(markdown)


def test_a_here_document_belongs_to_its_command() -> None:
    markdown = "```console\n$ cat >bars.csv <<'END'\ndate,open\n2024-01-02,1\nEND\n$ wc -l bars.csv\n2 bars.csv\n```\n"
    assert commands_of(markdown) == [
        Command(2, "cat >bars.csv <<'END'\ndate,open\n2024-01-02,1\nEND", ()),
        Command(6, "wc -l bars.csv", ("2 bars.csv",)),
    ]


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        ((), None),
        (("61 sessions, complete",), None),
        (("61 sessions, ...", "done in ... s"), None),
        (("...", "done in 3 s"), None),
        (("60 sessions, complete",), "60 sessions, complete"),
        (("done in 3 s", "61 sessions, complete"), "61 sessions, complete"),
        (("sessions",), "sessions"),
    ],
)
def test_shown_lines_must_be_printed_in_this_order(shown: tuple[str, ...], missing: str | None) -> None:
    assert missing_line(shown, "first\n61  sessions, complete \n\ndone in 3 s\n") == missing
