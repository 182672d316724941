"""Where the decisions are carried out: asyncio protocols, TLS, deadlines.

Reading order: listener (accepts) → client (one connection's requests) → exchange (one request with its response) →
upstream (a connection to a server) → tunnel (bytes without meaning). clock and flow serve them all.
"""
