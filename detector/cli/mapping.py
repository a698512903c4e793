"""``ingest --suggest FILE``: a proposed map for a log that no format knows, to stdout; nothing is written or stored."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def propose(file: Path | None) -> None:
    """Print the map and end: what ``ingest`` would need besides is not asked for."""
    if file is None:
        return
    from detector.ingest.suggest import suggest

    typer.echo(suggest(file), nl=False)
    raise typer.Exit


SuggestOption = Annotated[
    Path | None,
    typer.Option(
        "--suggest",
        metavar="FILE",
        help="propose mapped_keys for a log of your own, and do nothing else",
        show_default=False,
        is_eager=True,
        callback=propose,
    ),
]
