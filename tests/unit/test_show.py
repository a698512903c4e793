"""What tables look like on stdout: plain line ends, disarmed formulas, intervals in words."""

from __future__ import annotations

import json

import duckdb
import pytest

from detector import cli
from detector.cli.show import json_line, print_table, say
from detector.errors import ConfigError

ROWS = "SELECT 'g-1' AS id, '=1+1' AS name, INTERVAL '90 minutes' AS rest, INTERVAL '2 months 3 days' AS age"


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("csv", "id,name,rest,age\ng-1,'=1+1,1:30:00,2 months 3 days\n"),
        ("json", '{"id":"g-1","name":"=1+1","rest":"1:30:00","age":"2 months 3 days"}\n'),
    ],
)
def test_intervals_and_line_ends(
    style: str, expected: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    with duckdb.connect() as connection:
        print_table(connection.sql(ROWS).to_arrow_table(), style=style)
    assert capfdbinary.readouterr().out.decode() == expected
    if style == "json":
        assert json.loads(expected)["rest"] == "1:30:00"


def test_words_and_errors_steer_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A value in a message can hold anything: it is written out, and cannot begin a message of its own."""
    value = "x\x1b]0;owned\x07\u202e\nhydrawatch: all is well"
    say(f"no file {value}")
    assert capsys.readouterr().err == ("no file x\\x1b]0;owned\\x07\\u202e\nhydrawatch: all is well\n")

    def fail() -> None:
        raise ConfigError(f"no group {value}", hint="see: hydrawatch query")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "hydrawatch: no group x\\x1b]0;owned\\x07\\u202e\n  hydrawatch: all is well\n  see: hydrawatch query\n"
    )
    assert json_line({"a": value}) == ('{"a":"x\\u001b]0;owned\\u0007\\u202e\\nhydrawatch: all is well"}')
