"""The processes: a master that keeps the sockets, a steward for each start or reload, workers that carry the traffic.

    start ─► master ─► steward ─► worker, worker, …
             signals   reads, binds, checks servers,   balancer.open
             reload    answers operators, adds up

balancer makes the live objects of a Config, and every process of a generation has the same ones. What they share:
replicate (servers' states, from the steward), counters and books (shared memory, one writer each), sticks (stick
tables), relay and channel (questions and orders). packets and carry lead from one generation to the next, server_states
from a file; binding, privileges and forking are what a start is made of.
"""
