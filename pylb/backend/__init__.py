"""Which server serves an exchange, and whether servers can: decisions only, no socket, no clock, no event loop.

Reading order: server (one live server) → queue (who waits for it) → balance/ (which one) → persist (which one the
client had before) → backend (all of it together, one exchange's way through) → health, state and operate (servers
come and go) → stick (tables of what clients did), sticking (the server that one names),
stick_records (as a reload carries them over).
Times are arguments: `now` in seconds of the event loop's clock, `wall` in seconds since the epoch.
"""
