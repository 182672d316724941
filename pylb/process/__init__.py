"""The process: sockets bound, privileges dropped, one event loop run to its end.

build makes live objects of a Config; binding makes listening sockets; privileges and pidfile belong to the start;
worker runs.
"""
