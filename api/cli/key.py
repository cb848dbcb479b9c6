"""`farm key`: who may use the HTTP service."""

from typing import Annotated

import typer

from api.cli.output import AsJson, print_json, say, show

app = typer.Typer(help="Keys of the HTTP service.", no_args_is_help=True)


@app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Whose key it is; unique.")],
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once: only its hash is stored."""
    from api.cli.connection import open_session
    from db.queries import keys

    with open_session(start=True) as session:
        key = keys.create_key(session, name)
    if as_json:
        print_json({"name": name, "key": key})
        return
    say(key)
    typer.echo("Keep it: it is not shown again. Send it as", err=True)
    typer.echo(f"  Authorization: Bearer {key}", err=True)


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List keys; the keys themselves are not stored."""
    from api.cli.connection import open_session
    from db.queries import keys

    with open_session() as session:
        rows = [
            {
                "name": key.name,
                "prefix": key.prefix,
                "created_at": key.created_at,
                "last_used_at": key.last_used_at,
                "revoked_at": key.revoked_at,
            }
            for key in keys.list_keys(session)
        ]
    show(rows, as_json=as_json, empty="no keys yet; `farm key add NAME` makes one")


@app.command("revoke")
def revoke_key(name: Annotated[str, typer.Argument(help="Whose key.")]) -> None:
    """Refuse a key from now on."""
    from api.cli.connection import open_session
    from db.queries import keys

    with open_session() as session:
        keys.revoke_key(session, name)
    say(f"the key of {name} is refused from now on")
