"""What clients notice of a failover: pylb + vrrpd beside HAProxy + keepalived, in the lab of bench/lab.

    python -m bench.failover [--quick] [--scenario NAME …] [--stack NAME …] [--rate N] [--out DIR]

The lab has the whole system of the example in namespaces, once per stack and all at the same time, with clients that
send at a fixed rate whatever happens. Every request is kept: failover.json holds them, and each scenario's picture
shows them.

    results.py   a lab's Result as plain data, small enough to be kept       report.py   tables
    plot.py      the timeline of a scenario, one panel per stack, and the gaps of all scenarios
"""
