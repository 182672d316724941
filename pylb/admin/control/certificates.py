"""TLS certificates while clients are served: show, new, set, commit, abort, del ssl cert (net/certificate_store.py)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.world import Running
from pylb.backend.operate import Refused
from pylb.net.certificate_store import MOST, Stored

if TYPE_CHECKING:
    from pylb.net.certificates import Bundle

NO_RESPONSE = "OCSP Response Key: "

# ---------------------------------------------------------------------------------------------------------------- show


@command("show ssl cert", "[<certfile>]", help="display the SSL certificates used in memory, or the details of a file")
def show_ssl_cert(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """The names, those in a transaction with "*" before them; or what one certificate says."""
    store = world.certificates
    if not words:
        pending = ["# transaction", f"*{store.pending[0]}"] if store.pending is not None else []
        lines = [*pending, "# filename", *store.names()]
    elif words[0].startswith("*") and store.pending is not None and store.pending[0] == words[0][1:]:
        lines = [f"Filename: {words[0]}", "Status: Unused", *_say(store.pending[1])]
    elif (stored := store.files.get(words[0])) is not None:
        lines = [f"Filename: {words[0]}", f"Status: {_status(stored)}", *_say(stored.bundle)]
    else:
        raise Refused("Can't display the certificate: Not found or the certificate is a bundle!")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _say(bundle: Bundle | None) -> Iterable[str]:
    if bundle is None:
        return (NO_RESPONSE,)
    from pylb.admin.control.certificate_details import details  # process/wanted.py

    return (*details(bundle), NO_RESPONSE)


def _status(stored: Stored) -> str:
    if stored.bundle is None:
        return "Empty"
    return "Used" if stored.maps else "Unused"


# ------------------------------------------------------------------------------------------------------------- changes


@command("new ssl cert", "<certfile>", kind=Kind.CHANGE, level=Level.ADMIN,
         help="create a new certificate file to be used in a crt-list or a directory")  # fmt: skip
def new_ssl_cert(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """An empty place for a certificate."""
    if not words:
        raise Refused("'new ssl cert' expects a filename")
    if words[0] in world.certificates.files:
        raise Refused(f"Certificate '{words[0]}' already exists!")
    if len(world.certificates.files) >= MOST:
        raise Refused("There are too many certificates.")
    world.certificates.files[words[0]] = Stored()
    return session.feedback(Severity.NOTICE, f"New empty certificate store '{words[0]}'!")


@command("set ssl cert", "<certfile> <payload>", help="replace a certificate file", kind=Kind.CHANGE, level=Level.ADMIN)
def set_ssl_cert(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Put the payload, a PEM bundle, into the transaction."""
    store = world.certificates
    if not words or not payload:
        raise Refused("'set ssl cert expects a filename and a certificate as a payload")
    path = words[0]
    if store.pending is not None and store.pending[0] != path:
        raise Refused(_another(store.pending[0], path, "set"))
    try:
        begun = store.set(path, payload)
    except KeyError:
        text = "Can't replace a certificate which is not referenced by the configuration!"
        raise Refused(f"{text}\nCan't update {path}!") from None
    except ValueError as error:
        text = f"unable to load certificate from file '{path}'."
        raise Refused(f"{text}\nCan't load the payload: {error}\nCan't update {path}!") from None
    done = "created" if begun else "updated"
    return session.feedback(Severity.NOTICE, f"Transaction {done} for certificate {path}!")


def _another(pending: str, path: str, what: str) -> str:
    return f"The ongoing transaction is about '{pending}' but you are trying to {what} '{path}'"


@command("commit ssl cert", "<certfile>", help="commit a certificate file", kind=Kind.CHANGE, level=Level.ADMIN)
def commit_ssl_cert(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Show the transaction's certificate to the next clients."""
    store = world.certificates
    if not words:
        raise Refused("'commit ssl cert expects a filename")
    path = words[0]
    if store.pending is None:
        raise Refused(f"No ongoing transaction! !\nCan't commit {path}!")
    if store.pending[0] != path:
        raise Refused(f"{_another(store.pending[0], path, 'set')}\nCan't commit {path}!")
    try:
        uses = store.commit()
    except ValueError as error:
        raise Refused(f"{error}\nCan't commit {path}!") from None
    return f"Committing {path}{'.' * uses}\nSuccess!\n".encode("utf-8", "surrogateescape")


@command("abort ssl cert", "<certfile>", kind=Kind.CHANGE, level=Level.ADMIN,
         help="abort a transaction for a certificate file")  # fmt: skip
def abort_ssl_cert(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Forget the transaction."""
    store = world.certificates
    if not words:
        raise Refused("'abort ssl cert' expects a filename")
    if store.pending is None:
        raise Refused("No ongoing transaction!")
    if store.pending[0] != words[0]:
        raise Refused(_another(store.pending[0], words[0], "abort a transaction for"))
    store.pending = None
    return session.feedback(Severity.NOTICE, f"Transaction aborted for certificate '{words[0]}'!")


@command("del ssl cert", "<certfile>", help="delete an unused certificate file", kind=Kind.CHANGE, level=Level.ADMIN)
def del_ssl_cert(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Only what no bind uses."""
    if not words:
        raise Refused("'del ssl cert' expects a certificate name")
    path, store = words[0], world.certificates
    stored = store.files.get(path)
    if stored is None:
        raise Refused(f"Can't remove the certificate: certificate '{path}' doesn't exist!")
    if stored.maps:
        raise Refused(f"Can't remove the certificate: certificate '{path}' in use, can't be deleted!")
    if store.pending is not None and store.pending[0] == path:
        raise Refused(f"Can't remove the certificate: certificate '{path}' is in a transaction: abort it first!")
    del store.files[path]
    return session.feedback(Severity.NOTICE, f"Certificate '{path}' deleted!")
