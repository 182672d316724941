"""The processes: a master that keeps the sockets, a steward for each start or reload, workers that carry the traffic.

    start ─► master ─► steward ─► worker, worker, …
             signals   reads, binds, checks servers,   balancer.open
             reload    answers operators, adds up

    start      the background, pidfile, sockets of the process before (adopt)
    master     order (what a steward is to do), generation (what has become of it), attempts (reloads, one at a time),
               kept_sockets, orphans (workers whose steward has died), master_socket
    steward    preparation (from the order to the fork), crew (its workers), control (operators)
    balancer   the live objects of a Config, the same in every process of a generation: assembly and endpoints compile
               them, listeners let clients in, figures are the process in numbers

What the processes of a generation share: replicate (servers' states, from the steward), counters and books (shared
memory, one writer each), usage and sharing (limits, queues and loads, in the same memory), spread (connections, from a
worker with many to one with few), sticks (stick tables), pattern_news (maps and ACLs), relay and channel (questions and
orders). packets and carry lead from one generation to the next, server_states from a file; binding, privileges and
forking are what a start is made of, journal is what stderr becomes under systemd.
"""
