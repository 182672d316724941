"""Names of HAProxy 2.6 that have no counterpart here yet, so that a finding can say so instead of calling them typos.

Taken from the manual's 7.3 and 4.2. A name moves out of here by being registered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

FETCHES = """
bc_err bc_err_str cpu_calls cpu_ns_avg cpu_ns_tot distcc_body distcc_param dst_conn fc_pp_authority fc_pp_unique_id
fcgi.docroot fcgi.index last_rule_file last_rule_line lat_ns_avg lat_ns_tot rep_ssl_hello_type
req.hdrs_bin res.body res.body_len res.body_size res.cache_hit res.cache_name res.comp res.comp_algo res.hdrs_bin
res.len res.payload res.payload_lv res.ssl_hello_type set-cookie
"""
FETCH_FAMILIES = {
    r"ssl_.*": "other facts of TLS connections and certificates",
    r"(fc|bc)_.*": "facts of the TCP connections",
    r"internal\..*": "HAProxy's own structures",
    r"(51d|mqtt|fix_|deviceatlas|wurfl).*": "device databases and other protocols",
}
"""Patterns of names, and what they are."""
CONVERTERS = """
aes_gcm_dec crc32c debug fix_is_valid fix_tag_value json_query jwt_header_query
jwt_payload_query jwt_verify language mqtt_field_value mqtt_is_valid param protobuf set-var-fmt ungrpc
x509_v_err_str rfc7239_is_valid
"""
CONVERTER_FAMILIES = {
    r"lua\..*": "Lua",
    r"(51d|da-csv|wurfl|sha3).*": "device databases, options of some builds",
}
ACTIONS = """
cache-store cache-use do-resolve send-spoe-group set-bandwidth-limit set-fc-mark set-fc-tos set-nice
switch-mode wait-for-handshake expect-netscaler-cip expect-proxy attach-srv lua.
"""


def _in_family(name: str, families: Iterable[str]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in families)


def is_known_fetch(name: str) -> bool:
    """A fetch of HAProxy's that is missing here."""
    return name in FETCHES.split() or _in_family(name, FETCH_FAMILIES)


def is_known_converter(name: str) -> bool:
    """A converter of HAProxy's that is missing here."""
    return name in CONVERTERS.split() or _in_family(name, CONVERTER_FAMILIES)


def is_known_action(name: str) -> bool:
    """An action of HAProxy's that is missing here."""
    base = name.partition("(")[0]
    return base in ACTIONS.split() or base.startswith("lua.")
