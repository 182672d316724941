"""HTTP/1.1 without sockets: bytes to heads and back, and where bodies end (RFC 9110, RFC 9112)."""
