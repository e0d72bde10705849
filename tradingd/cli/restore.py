"""`tradingd restore`: take up a backup of the order log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tradingd.app.exit_codes import Exit
from tradingd.cli.journal import log_or_exit, own_files, store_errors
from tradingd.cli.shared import config_option, fail, json_option, load_or_exit, print_json

if TYPE_CHECKING:
    from tradingd.app.state_directory import StateFiles
    from tradingd.log.backup import Restored


@click.command()
@click.argument("src", type=click.Path(path_type=Path, exists=True))
@config_option
@json_option
def restore(src: Path, file: Path, as_json: bool) -> None:
    """Put the backup SRC in the place of the order log; the daemon must not run.

    The backup is verified first, and a log that is there is moved to replaced/N, never deleted. All ids
    begin anew, so that none is used twice, and the halt latch is set: what the account did since the backup
    is for a person to look at and accept, then `tradingd resume --reason`.
    """
    from tradingd.app.lock import AlreadyRunning, InstanceLock
    from tradingd.app.state_directory import FolderUnusable, StateFiles

    source = log_or_exit(src, file)
    files = StateFiles(load_or_exit(file).state_dir)
    try:
        files.make()
        with InstanceLock(files.folder), own_files(), store_errors():
            restored, aside = _take_up(source, files)
    except AlreadyRunning as error:
        fail(f"{error} {files.folder}", Exit.LOCKED)
    except FolderUnusable as error:
        fail(str(error), Exit.FAILURE)
    if as_json:
        print_json(
            {
                "rows": restored.verified.rows,
                "instance_id": restored.instance_id,
                "former": restored.former_instances,
                "replaced": None if aside is None else str(aside),
            }
        )
        return
    click.echo(f"{restored.verified.rows} rows restored; ids now begin with {restored.instance_id}")
    if aside is not None:
        click.echo(f"the log that was here lies in {aside}")
    click.echo("HALTED: start the daemon, compare with the account, then `tradingd resume`")


def _take_up(source: Path, files: StateFiles) -> tuple[Restored, Path | None]:
    from random import SystemRandom

    from tradingd.log.backup import restore as put_in_place
    from tradingd.log.backup import whole_or_raise
    from tradingd.supervisor.latch import latch_file

    whole_or_raise(source)
    latch_file(files.halt, "restore", f"the order log was restored from {source.parent}")
    aside = files.replace()
    return put_in_place(source, files.log, SystemRandom()), aside
