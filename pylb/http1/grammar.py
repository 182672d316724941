"""The ABNF of RFC 9110, 9112 and 3986 as bytes patterns, each under the rule that it spells.

Every pattern is used with `fullmatch` or ends where the rule ends; `$` is never used, because it accepts a newline.
Repeats are possessive (`*+`): each character decides at once what it belongs to, so no input makes a pattern slow.
"""

from __future__ import annotations

from typing import Final

from pylb.http1.patterns import compiled

# token = 1*tchar                                                                              RFC 9110 5.6.2
TCHAR: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN: Final = TCHAR + rb"++"

# field-value = *( VCHAR / obs-text / SP / HTAB )                                              RFC 9110 5.5
# The surrounding OWS is left in; readers strip it. No CR, LF, NUL or other control: RFC 9110 5.5 leaves controls to the
# recipient, and an intermediary that passes them on lets the next hop decide what they mean.
VALUE_CHAR: Final = rb"[\t -~\x80-\xff]"
FIELD_LINE: Final = TOKEN + rb":" + VALUE_CHAR + rb"*+"

# request-target, the characters that its four forms are made of                               RFC 9112 3.2
# Visible ASCII without "#": a fragment is never sent. Of these, RFC 3986 also excludes " < > \ ^ ` { | }; browsers send
# them in queries and every server takes them, so refusing them would break sites and protect nobody.
TARGET_CHAR: Final = rb'[!"$-~]'

# HTTP-version = "HTTP/" DIGIT "." DIGIT, case-sensitive                                       RFC 9112 2.3
VERSION: Final = rb"HTTP/([0-9])\.([0-9])"

# chunk-ext = *( ";" name [ "=" ( token / quoted-string ) ] )                                  RFC 9112 7.1.1
# The RFC lets a recipient read "bad whitespace" (BWS) here and forbids sending it. Chunks are forwarded as they came,
# so whitespace is refused.
QUOTED_STRING: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
CHUNK_EXTENSIONS: Final = rb"(?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + QUOTED_STRING + rb"))?+)*+"

# uri-host [ ":" port ]; reg-name, IPv4address, IP-literal                                      RFC 3986 3.2.2
# "a:" is valid by the grammar (port = *DIGIT). IPv6 text is checked by `ipaddress`, zones (RFC 6874) are no business
# of a peer's.
AUTHORITY: Final = (
    rb"(\[(?:[0-9A-Fa-f:.]++|[vV][0-9A-Fa-f]++\.[0-9A-Za-z\-._~!$&'()*+,;=:]++)\]"
    rb"|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*+)"
    rb"(?::([0-9]{0,5}))?"
)

# 1*DIGIT; 19 digits always fit into 64 bits, `int` is never asked about anything else          RFC 9110 8.6
DIGITS: Final = rb"[0-9]{1,19}"

is_token: Final = compiled(TOKEN).fullmatch
match_authority: Final = compiled(AUTHORITY).fullmatch
match_digits: Final = compiled(DIGITS).fullmatch

# Elements of a comma-separated list; a comma inside a quoted-string is none of ours            RFC 9110 5.6.1
# A quote that never ends takes the rest with it: HAProxy reads it so too, and it keeps the time linear. So does leaving
# the whitespace around elements to the reader: skipped here, a long run of it would be tried from each of its bytes.
find_elements: Final = compiled(rb'(?:[^",]++|"(?:[^"\\]|\\.)*+"|".*+)++').findall

# What a value may not hold becomes SP, as RFC 9110 5.5 offers: 80 ns, less than looking first.
NEUTRAL: Final = bytes(32 if (c < 32 and c != 9) or c == 127 else c for c in range(256))
