"""The setting to suggest when a file gave no requests because no key of it is known to name the account."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from detector.ingest.formats import Format
from detector.ingest.report import FileReport
from detector.ingest.unpack import text_of

#: Share of lines without an account from which on the map is at fault, and not single lines (0..1).
_NEARLY_ALL = 0.9
#: Most keys listed, and the most characters shown of one.
_LISTED, _LONGEST = 25, 60
_TELLING = re.compile(
    r"(?i)account|user(?!.?agent)|tenant|customer|consumer|client.?id|\borg|team|project|key|token.?(id|name)|\bsub\b|owner"
)


def of(report: FileReport, form: Format, lake: Path) -> str:
    """The setting to write, with the keys of the entries to choose from; empty when no advice is needed."""
    if form.setting is None or report.content != "requests":
        return ""
    n = report.reasons["account_id is missing"]
    if not n or n < _NEARLY_ALL * (report.n_lines - report.n_unauthenticated):
        return ""
    keys = sorted(
        (k for k in report.keys if k.isprintable() and k), key=lambda k: (not _TELLING.search(k), k)
    )
    listed = ", ".join(
        k if len(k) <= _LONGEST else k[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}" for k in keys[:_LISTED]
    )
    more = f" and {len(keys) - _LISTED} more" if len(keys) > _LISTED else ""
    return (
        f"no key of the entries is known to name the account: write which one does into {lake / 'hydrawatch.toml'}, "
        f'under [{form.setting}]: account_id = "KEY"; keys of the entries: {listed}{more}; '
        f"if none of them says who called, add it to the access log; then: "
        f"hydrawatch ingest {shlex.quote(text_of(report.path))} --lake {shlex.quote(str(lake))}"
    )
