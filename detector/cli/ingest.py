"""The command ``ingest``: what it is told, and what it says of every file."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.lake import ConfigOption, LakeOption, open_for_work
from detector.cli.mapping import SuggestOption
from detector.cli.run import NowOption, moment
from detector.cli.show import bar, clean, plural, say, word
from detector.errors import DataQualityError

if TYPE_CHECKING:
    from detector.ingest.report import FileReport

#: Told from the files, so that a new format is one file; importing them would slow ``--help`` down.
FORMATS = (
    "auto",
    *sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parents[1] / "ingest/formats")])),
)
#: Reasons of rejects shown a file.
_REASONS = 5


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="log files or folders", show_default=False)],
    lake: LakeOption,
    format: Annotated[str, typer.Option("--format", help=f"one of {', '.join(FORMATS)}")] = "auto",
    again: Annotated[
        bool, typer.Option("--again", help="read files again and replace the rows they gave")
    ] = False,
    backfill: Annotated[
        bool, typer.Option("--backfill", help="accept lines of any age; their days and all later ones run")
    ] = False,
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="file names or paths to pass over, such as '*.tmp'; repeat", show_default=False),
    ] = None,
    max_rejects: Annotated[
        float | None,
        typer.Option(help="share of rejected lines (0..1) beyond which exit code is 3", show_default=False),
    ] = None,
    now: NowOption = None,
    config: ConfigOption = None,
    suggest: SuggestOption = None,
) -> None:
    """Read logs into the lake: metadata and measurements are kept, text is dropped.

    A file that was read before changes nothing, and the same request (id, account and second) counts once. Lines
    that cannot be read, or whose time is implausible, are set aside with the reason. Every path ends as read,
    passed over or unreadable. Exit code 3 while any is unreadable.

    Example: hydrawatch ingest /var/log/llm --lake lake
    """
    if format not in FORMATS:
        raise typer.BadParameter(f"unknown format {format!r}; there are {', '.join(FORMATS)}")
    time = moment(now)
    from detector.config import load_config
    from detector.ingest.sources import find
    from detector.pipeline.reading import fault_of, read_logs

    selection = find(paths, ignore=[*load_config(lake, config).ignore, *(ignore or [])], lake=lake)
    store, settings = open_for_work(lake, config, must_exist=False)
    limit = settings.max_rejects if max_rejects is None else max_rejects
    reports: list[FileReport] = []
    gate: DataQualityError | None = None
    with store:
        try:
            with _late_bar("reading logs") as update:
                read_logs(
                    store,
                    settings,
                    paths,
                    selection=selection,
                    format=format,
                    again=again,
                    backfill=backfill,
                    max_rejects=limit,
                    now=time,
                    progress=lambda done, total, path: update(done / max(total, 1), str(path)),
                    announce=_announce,
                    each=reports.append,
                )
        except DataQualityError as error:
            gate = error
        finally:
            options = [f"--format {format}"] if format != "auto" else []
            where = [f"--lake {word(lake)}", *([f"--config {word(config)}"] if config else [])]
            for report in sorted(reports, key=lambda r: str(r.path)):
                _tell(report, limit, " ".join([*where, *options]))
    _sum_up(reports, f"--lake {word(lake)}", f"--config {word(config)}" if config else "")
    if fault := gate or fault_of(reports, limit):
        raise fault


@contextmanager
def _late_bar(what: str) -> Iterator[Callable[[float, str], None]]:
    """A progress bar that appears with the first progress, so that nothing is said across it."""
    with ExitStack() as stack:
        shown: list[Callable[[float, str], None]] = []

        def update(done: float, note: str) -> None:
            if not shown:
                shown.append(stack.enter_context(bar(what, total=1.0)))
            shown[0](done, note)

        yield update


def _announce(path: Path, n_rows: int, days: list[date]) -> None:
    if n_rows:
        say(f"{clean(path)}: {plural(n_rows, 'row')} of {_days(days)} will be replaced")
    else:
        say(f"{clean(path)}: nothing of it is in the lake")


def _days(days: list[date]) -> str:
    if not days:
        return "no day"
    return str(days[0]) if len(days) == 1 else f"{len(days)} days ({days[0]} to {days[-1]})"


def _tell(report: FileReport, limit: float, options: str) -> None:
    """One file's lines; ``options`` end the command that reads it anew."""
    from detector.ingest.unpack import text_of

    path = clean(text_of(report.path))
    if report.status == "passed":
        say(f"{path}: passed over: {clean(report.reason)}")
    elif report.status == "unreadable" and report.skipped:
        say(f"{path}: unreadable: {clean(report.reason, width=1000)}")
    elif report.outdated:
        flags = "--again --backfill" if report.needs_backfill else "--again"
        say(f"{path}: already ingested; {clean(report.outdated)}. To read it anew:")
        say(f"    hydrawatch ingest {flags} {word(report.path)} {options}")
    elif report.in_lake and report.reject_share > limit:
        say(f"{path}: already ingested; {report.reject_share:.0%} of its lines were rejected then")
    elif report.in_lake:
        first = f" as {clean(report.copy_of)}" if report.copy_of else ""
        say(f"{path}: already ingested{first}, nothing done")
    else:
        _tell_read(report, path)


def _tell_read(report: FileReport, path: str) -> None:
    line = (
        f"{path} ({report.format} {report.content}): {plural(report.n_lines, 'line')} = "
        f"{report.n_requests:,} kept + {report.n_rejects:,} rejected + {report.n_duplicates:,} duplicates"
    )
    if report.n_unauthenticated:
        line += f"; {report.n_unauthenticated:,} of the rejected failed to authenticate and do not count as faults"
    say(line + (f"; {report.n_other:,} other entries" if report.n_other else ""))
    if report.status == "unreadable":
        say(f"    unreadable from there on: {clean(report.reason)}")
    if report.n_replaced:
        say(f"    in place of {plural(report.n_replaced, 'row')} of {_days(report.days_replaced)}")
    for reason, n in report.reasons.most_common(_REASONS):
        say(f"    {n:,} rejected: {clean(reason)}")
    if (rest := len(report.reasons) - _REASONS) > 0:
        say(f"    and {plural(rest, 'other reason')}")
    for note, n in report.notes.most_common():
        say(f"    {plural(n, 'line')}: {clean(note)}")
    for remark in report.remarks:
        say(f"    {clean(remark, width=4000)}")


def _sum_up(reports: list[FileReport], lake: str, config: str) -> None:
    fresh = [r for r in reports if not r.skipped]
    counts = [plural(sum(r.status == "read" for r in fresh), "file") + " read"]
    if n := sum(r.in_lake and r.status == "read" for r in reports):
        counts.append(f"{n:,} ingested before")
    if n := sum(r.status == "passed" for r in reports):
        counts.append(f"{n:,} passed over")
    if n := sum(r.status == "unreadable" for r in reports):
        counts.append(f"{n:,} unreadable")
    n_requests = sum(r.n_requests for r in fresh if r.content == "requests")
    n_accounts = max((r.n_accounts for r in reports), default=0)
    say(f"{', '.join(counts)}; {plural(n_requests, 'request')} of {plural(n_accounts, 'account')} kept")
    if any(r.n_rejects for r in reports):
        say(f'see what was rejected: hydrawatch query {lake} "SELECT path, line, reason FROM rejects"')
    if any(r.in_lake or not r.skipped for r in reports):
        say(f"next: hydrawatch run {lake} {config}".rstrip())


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(ingest)
