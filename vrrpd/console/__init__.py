"""`vrrpd top`: a terminal console over the status socket of a running daemon.

lines makes rows and events of two status documents, app shows them. Nothing in here touches the daemon: what is shown
is what `vrrpd status --json` says.
"""
