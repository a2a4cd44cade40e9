"""`sharpbounds report`: the checks as pages to read offline."""

from pathlib import Path

import click

from simulate.parameters import ParameterError
from theory.commands import asked, available_cores, check_output, checked, checking, plain_json, write_whole


@click.command()
@checking
@click.option("--from", "record_file", metavar="FILE", help="Take the records that `verify --json` wrote; run nothing.")
@click.option("--out", default="report", show_default=True, metavar="DIR", help="Folder to write to.")
@click.option("--archive", metavar="FILE", help="Also write the whole report, with its checksums, to a ZIP file.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.pass_context
def report(
    context: click.Context, patterns: tuple[str, ...], mode: str, seed: int, workers: int | None, no_cache: bool,
    record_file: str | None, out: str, archive: str | None, show: bool,
) -> None:  # fmt: skip
    """Check claims (all, by default) and write what came out as a report: an index and a page for each claim.

    It needs no network and no script; the records it shows and SHA-256 checksums lie beside the pages. Exit status as
    for `verify`.
    """
    from figures.figure_command import output_folder
    from simulate.executor import worker_count
    from theory.record import read_records, select_records

    workers = available_cores() if workers is None else worker_count(workers)
    check_output(archive)
    if record_file is None:
        asked(patterns, seed, workers)
        output_folder(out)  # before the checks, which may take long
        records = checked(patterns, mode, seed, workers, no_cache)
        rows = [plain_json(record.to_dict()) for record in records]
    else:
        rows = select_records(read_records(record_file), patterns)
    from figures.report.pages import archive as archived
    from figures.report.pages import build

    try:
        files = build(rows, workers)
    except Exception as error:
        if record_file is None:
            raise
        reason = f"what `sharpbounds verify --json` writes ({type(error).__name__}: {error})"
        raise ParameterError(f"record file = {record_file!r}: must be {reason}") from error
    folder = output_folder(out)
    for name, data in files.items():
        path = folder / name
        output_folder(path.parent)
        write_whole(path, data)
    if archive:
        write_whole(archive, archived(files))
    index = folder / "index.html"
    click.echo(index)
    if show:
        import webbrowser

        webbrowser.open(Path(index).resolve().as_uri())
    context.exit(0 if all(row["passed"] for row in rows) else 1)
