"""How connections reach the workers of one port: all accept from one socket, or each has a socket of its own.

    shared       pylb as it is: one listening socket, every worker accepts from it
    reuseport    the same pylb, but each worker binds a socket of its own to the port (SO_REUSEPORT, socket(7)) and the
                 kernel divides new connections by a hash of their addresses; reuseport.py

Measured with two workers: how connections spread over them, throughput, CPU per request and latency under load, with
kept connections and with one per request, and how many requests are lost when workers are replaced in a reload.
Both run at the same time and take turns, as in bench.http.
"""
