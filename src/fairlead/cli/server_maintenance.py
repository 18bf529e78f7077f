"""`fairlead server backup|restore|upgrade|fsck|gc`: keeps the data whole. Each is an act of the server's own program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead.cli import server_process
from fairlead.cli.output import AsJson, Output, Quiet, size

DatabaseUrl = Annotated[str | None, typer.Option(help="Of another database than the server's own.")]
StoreUrl = Annotated[str | None, typer.Option(help="Of another store than the server's own.")]
PassphraseFile = Annotated[Path | None, typer.Option(help="A file with the passphrase that the master key lies under.")]


def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    blobs: Annotated[bool | None, typer.Option("--blobs/--no-blobs", help="With the files of the store, or without. With, when the store is a folder.")] = None,
    data: Annotated[bool, typer.Option("--data", help="With the files of the workspaces' own datastores; they are as large as they are.")] = False,
    with_key: Annotated[bool, typer.Option("--with-key", help="With the master key, under the passphrase; else keep master.key yourself.")] = False,
    passphrase_file: PassphraseFile = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file.")] = False,
    database_url: DatabaseUrl = None,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write everything that the server knows into one file, while it runs.

    Example: fairlead server backup /backups/fairlead-$(date +%F).tar
    """
    output = Output(as_json=as_json, quiet=quiet)
    flags = {
        "passphrase_file": _absolute(passphrase_file),
        "data": data,
        "with_key": with_key,
        "force": force,
        "blobs": blobs or None,
        "no_blobs": blobs is False,
        "database_url": database_url,
        "store_url": store_url,
    }
    made = server_process.ask("backup", [str(file.absolute()), *server_process.arguments(flags)], output)
    lines = [("file", made["path"]), ("size", size(made["bytes"])), ("rows", made["rows"]), ("contents", made["blobs"] if made["with_blobs"] else "left out")]
    output.result(made, short=made["path"], lines=[*lines, ("data files", made["data_files"])])
    if made["data_left_out"]:
        output.say(f"The files in {made['data_left_out']}, of the workspaces' own datastores, are not in it: save them as you save other data, or say --data.")
    if not made["with_key"]:
        output.say("The master key is not in it. Without that key no service key and no secret can be opened again: keep a copy of master.key elsewhere.")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `fairlead server backup` wrote.")],
    passphrase_file: PassphraseFile = None,
    take_over: Annotated[bool | None, typer.Option("--take-over/--no-take-over", help="Services are to run here from now on. So with SQLite.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what the database holds.")] = False,
    database_url: DatabaseUrl = None,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Put a backup into an empty database, or with --force in the place of what is there. The server must be stopped.

    Example: fairlead server stop && fairlead server restore /backups/fairlead-2026-11-20.tar --force
    """
    output = Output(as_json=as_json, quiet=quiet)
    flags = {
        "passphrase_file": _absolute(passphrase_file),
        "take_over": take_over or None,
        "no_take_over": take_over is False,
        "force": force,
        "database_url": database_url,
        "store_url": store_url,
    }
    done = server_process.ask("restore", [str(file.absolute()), *server_process.arguments(flags)], output)
    lines = [
        ("backup of", done["created_at"]),
        ("rows", done["rows"]),
        ("contents", done["blobs"]),
        ("data files", done["data_files"] or None),
        ("master key", done["key"]),
    ]
    output.result(done, short=done["created_at"], lines=lines)
    if done["key"] == "missing":
        output.say("The master key is not here: put the server's master.key into its state folder before it starts, or keys and secrets cannot be opened.")


def upgrade(database_url: DatabaseUrl = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Bring the database to this version's schema. Each start does so by itself; this is for whoever wants to see it happen.

    Example: fairlead server backup before.tar && fairlead server upgrade
    """
    output = Output(as_json=as_json, quiet=quiet)
    done = server_process.ask("upgrade", server_process.arguments({"database_url": database_url}), output)
    said = f"The schema went from {done['before'] or 'nothing'} to {done['now']}." if done["changed"] else f"The schema is at {done['now']} already."
    output.result(done, short=said)


def fsck(
    deep: Annotated[bool, typer.Option("--deep", help="Read every content and compare its digest.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended without losing anything.")] = False,
    database_url: DatabaseUrl = None,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Look for what does not fit together: rows, contents, services. Exit code 0: nothing found. 1: something, each with its cure.

    Example: fairlead server fsck --deep
    """
    output = Output(as_json=as_json, quiet=quiet)
    flags = {"deep": deep, "repair": repair, "database_url": database_url, "store_url": store_url}
    answer = server_process.ask("fsck", server_process.arguments(flags), output)
    found: list[dict[str, Any]] = answer["findings"]
    rows = [(each["what"], each["message"], "repaired" if each["repaired"] else each["cure"]) for each in found]
    output.table(found, ("FINDING", "WHAT WAS FOUND", "CURE"), rows, empty=f"Nothing found: {answer['checked']} things were looked at.")
    if any(not each["repaired"] for each in found):
        raise typer.Exit(1)


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and leave it.")] = False,
    database_url: DatabaseUrl = None,
    store_url: StoreUrl = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Clear up what nobody needs: contents, uploads that nobody goes on with, environments, bundles laid down here. The server does it by itself each day.

    Example: fairlead server gc --dry-run
    """
    output = Output(as_json=as_json, quiet=quiet)
    flags = {"dry_run": dry_run, "database_url": database_url, "store_url": store_url}
    done = server_process.ask("gc", server_process.arguments(flags), output)
    lines = [(name.replace("_", " "), size(value) if name.endswith("bytes") else value) for name, value in done.items() if not isinstance(value, list)]
    output.result(done, short=size(done["freed_bytes"]), lines=lines)
    for each in done["workspaces"]:
        if each["quota_bytes"] and each["used_bytes"] > 0.9 * each["quota_bytes"]:
            output.say(f"The workspace {each['name']} holds {size(each['used_bytes'])} of the {size(each['quota_bytes'])} that it may.")


def _absolute(path: Path | None) -> Path | None:
    return path.absolute() if path else None
