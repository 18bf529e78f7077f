"""`fairlead service get-keys|regen-key|get-access-token`: how callers enter."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.cli.model_options import Workspace
from fairlead.cli.output import AsJson, Output, Quiet
from fairlead.cli.service_names import Id, Name, Words, find
from fairlead.client import services
from fairlead.client.connection import connect
from fairlead.errors import UsageError
from fairlead.schemas.services import KeyRotation, Keys
from fairlead.sdk import scoring

Which = Annotated[str, typer.Option("-k", "--key", metavar="Primary|Secondary", help="The key to replace.")]
Value = Annotated[str | None, typer.Option("-s", "--set-key", help="A key of yours; default: a new one.")]
Regenerate = Annotated[bool, typer.Option("-r", "--regenerate", help="Replace the key that -k names.")]


def add_to(app: typer.Typer) -> None:
    app.command("get-keys")(get_keys)
    app.command("keys", hidden=True)(keys)
    app.command("regen-key")(regen_key)
    app.command("get-access-token")(get_access_token)


def get_keys(words: Words = None, name: Name = None, identity: Id = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show both keys; clients send one as `Authorization: Bearer KEY`.

    \b
    export FAIRLEAD_KEY=$(fairlead service get-keys churn --quiet)
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        _show(services.show_keys(transport, find(transport, words, name, identity)), output)


def keys(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    regenerate: Regenerate = False,
    key: Which = "Primary",
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """The first generation's word for get-keys, and with -r for regen-key.

    \b
    fairlead service keys realtime -i churn -r -k Secondary
    """
    if regenerate:
        regen_key(words, name, identity, key, None, workspace, as_json, quiet)
    else:
        get_keys(words, name, identity, workspace, as_json, quiet)


def regen_key(
    words: Words = None,
    name: Name = None,
    identity: Id = None,
    key: Which = "",
    set_key: Value = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Replace one key; the other goes on working, so move clients to that first.

    \b
    fairlead service regen-key churn -k Primary
    """
    if key.lower() not in ("primary", "secondary"):
        raise UsageError(f"Which key? Say -k Primary or -k Secondary{f', not {key}' if key else ''}.")
    output = Output(as_json=as_json, quiet=quiet)
    rotation = KeyRotation.of(key=key.lower(), **({"value": set_key} if set_key else {}))
    with connect(workspace=workspace) as transport:
        service = services.show_service(transport, find(transport, words, name, identity))
        made = services.regenerate_key(transport, service.name, rotation.key, rotation.value)
    scoring.until_taken(service, getattr(made, rotation.key))
    if quiet:
        print(getattr(made, rotation.key))
    else:
        _show(made, output)


def get_access_token(
    words: Words = None, name: Name = None, identity: Id = None, workspace: Workspace = None, as_json: AsJson = False, quiet: Quiet = False
) -> None:
    """Make a token for a service with auth `token`; it opens that service alone, for an hour.

    \b
    TOKEN=$(fairlead service get-access-token churn --quiet)
    """
    output = Output(as_json=as_json, quiet=quiet)
    with connect(workspace=workspace) as transport:
        made = services.make_access_token(transport, find(transport, words, name, identity))
    lines = [("token", made.access_token), ("type", made.token_type), ("refresh after", made.refresh_after), ("expires", made.expiry_on)]
    output.result(made, short=made.access_token, lines=lines)


def _show(keys: Keys, output: Output) -> None:
    output.result(keys, short=keys.primary, lines=[("primary", keys.primary), ("secondary", keys.secondary)])
