"""What tables look like on stdout: plain line ends, disarmed formulas, intervals in words."""

from __future__ import annotations

import json

import duckdb
import pytest

from detector.cli.show import print_table

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
