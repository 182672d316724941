"""Fetches about the client's TLS connection and certificate (manual 7.3.4)."""

from __future__ import annotations

from typing import Any

from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import BadArgument, Getter, fetch, fetch_with
from pylb.rules.scope import Scope


@fetch("ssl_fc", Kind.BOOL)
def _ssl_fc(x: Context) -> Value:
    return x.session.tls is not None


def _text(text: str | None) -> Value:
    return text.encode() if text else None


@fetch("ssl_fc_sni", Kind.STR)
def _ssl_fc_sni(x: Context) -> Value:
    return _text(x.session.tls.sni) if x.session.tls else None


@fetch("ssl_fc_has_sni", Kind.BOOL)
def _ssl_fc_has_sni(x: Context) -> Value:
    return x.session.tls is not None and bool(x.session.tls.sni)


@fetch("ssl_fc_alpn", Kind.STR)
def _ssl_fc_alpn(x: Context) -> Value:
    return _text(x.session.tls.alpn) if x.session.tls else None


@fetch("ssl_fc_protocol", Kind.STR)
def _ssl_fc_protocol(x: Context) -> Value:
    return _text(x.session.tls.version) if x.session.tls else None


@fetch("ssl_fc_cipher", Kind.STR)
def _ssl_fc_cipher(x: Context) -> Value:
    return _text(x.session.tls.cipher) if x.session.tls else None


@fetch("ssl_fc_is_resumed", Kind.BOOL)
def _ssl_fc_is_resumed(x: Context) -> Value:
    return x.session.tls is not None and x.session.tls.resumed


@fetch("ssl_c_used ssl_fc_has_crt", Kind.BOOL)
def _ssl_c_used(x: Context) -> Value:
    return _certificate(x) is not None if x.session.tls else None


@fetch("ssl_c_verify ssl_c_err ssl_c_ca_err ssl_fc_err", Kind.INT)
def _verified(x: Context) -> Value:
    # A certificate that does not verify ends the handshake, so whoever is here passed (X509_V_OK is 0).
    return 0 if x.session.tls else None


def _certificate(x: Context) -> Any:
    tls = x.session.tls
    return None if tls is None else tls.client_cert


@fetch("ssl_c_serial", Kind.BIN)
def _ssl_c_serial(x: Context) -> Value:
    cert = _certificate(x)
    if cert is None:
        return None
    number: int = cert.serial_number
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


@fetch("ssl_c_sha1", Kind.BIN)
def _ssl_c_sha1(x: Context) -> Value:
    cert = _certificate(x)
    if cert is None:
        return None
    from cryptography.hazmat.primitives.hashes import SHA1

    return bytes(cert.fingerprint(SHA1()))


@fetch("ssl_c_der", Kind.BIN)
def _ssl_c_der(x: Context) -> Value:
    cert = _certificate(x)
    if cert is None:
        return None
    from cryptography.hazmat.primitives.serialization import Encoding

    return bytes(cert.public_bytes(Encoding.DER))


@fetch("ssl_c_notafter", Kind.STR)
def _ssl_c_notafter(x: Context) -> Value:
    cert = _certificate(x)
    return None if cert is None else cert.not_valid_after_utc.strftime("%y%m%d%H%M%SZ").encode()


@fetch("ssl_c_notbefore", Kind.STR)
def _ssl_c_notbefore(x: Context) -> Value:
    cert = _certificate(x)
    return None if cert is None else cert.not_valid_before_utc.strftime("%y%m%d%H%M%SZ").encode()


@fetch_with("ssl_c_s_dn", Kind.STR, "str?", "int?", "str?")
def _ssl_c_s_dn(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return _name_getter("subject", args)


@fetch_with("ssl_c_i_dn", Kind.STR, "str?", "int?", "str?")
def _ssl_c_i_dn(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return _name_getter("issuer", args)


def _name_getter(which: str, args: tuple[Any, ...]) -> Getter:
    """A distinguished name: whole as /C=FR/CN=…, one attribute's value, or rfc2253."""
    entry, occurrence, form = args
    if form not in (None, "rfc2253"):
        raise BadArgument(f'"ssl_c_{which[0]}_dn" knows the format rfc2253 only, not "{form}"')

    def get(x: Context) -> Value:
        cert = _certificate(x)
        if cert is None:
            return None
        name = getattr(cert, which)
        if form and not entry:
            return str(name.rfc4514_string()).encode()
        pairs = [(a.rfc4514_attribute_name, str(a.value)) for a in name]
        if not entry:
            return "".join(f"/{key}={value}" for key, value in pairs).encode()
        return _pick([value for key, value in pairs if key.lower() == entry.lower()], occurrence)

    return get


def _pick(values: list[str], occurrence: int | None) -> Value:
    """The first value, the Nth, or the Nth from the end."""
    index = (occurrence or 1) - (1 if (occurrence or 1) > 0 else 0)
    try:
        return values[index].encode()
    except IndexError:
        return None
