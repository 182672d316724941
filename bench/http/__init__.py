"""pylb beside the real HAProxy: what a request costs each of them, on one haproxy.cfg, in one run.

    python -m bench.http [--quick] [--scenario NAME …] [--seconds N] [--rounds N] [--out DIR]

The idea: both programs run at the same time with the same file, pinned to one core; the load generator (wrk), the
servers (nginx) and the syslog receiver have another one. A scenario is measured in short rounds, one of each program
close together, so that whatever else the machine does meets both. CPU time per request, from /proc, is the figure to
trust; it depends little on what else runs. The ratio is taken in each pair of rounds, and the median over the pairs is
what the report shows, with the quartiles as spread.

    scenarios.py   what is asked for, as data               haproxy.cfg  nginx.conf  requests.lua   who answers and asks
    programs.py    start, wait until it serves, stop        check.py     is the path right, before it is measured
    load.py        one round of wrk                         cpu.py       what the round cost a process and its children
    measure.py     rounds and pairs of rounds               report.py    table, JSON, Markdown         plot.py   SVG
"""
