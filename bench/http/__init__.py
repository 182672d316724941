"""pylb beside HAProxy, nginx and Python proxies: what a request costs each of them, in one run.

    python -m bench.http [--quick] [--scenario NAME …] [--program NAME …] [--seconds N] [--rounds N] [--out DIR]

The idea: all programs run at the same time, pinned to one core; the load generators, the servers (nginx) and the syslog
receivers have another one. HAProxy and pylb read the same file, the others are told the same as far as they can be. A
scenario is measured in short rounds, one of each program in turn, so that whatever else the machine does meets all of
them. CPU time per request, from /proc, is the figure to trust; it depends little on what else runs. Ratios are taken
within a turn, and the median over the turns is what the report shows, with the quartiles as spread.

    scenarios.py   what is asked for, as data               haproxy.cfg  nginx.conf  requests.lua   who answers and asks
    programs.py    who takes part, and what each cannot     peers/       how the others are told
    world.py       cores, servers, certificate              process.py  logs.py   starting, ending, counting log lines
    check.py       is the path right, before it is measured
    load.py        one round of wrk                         cpu.py       what it cost a process and its children
    measure.py     rounds and turns of rounds
    rate.py        a client that asks at a fixed rate       latency.py   percentiles at such rates
    memory.py      what idle clients cost
    results.py     JSON                                     report.py    tables                     plot.py   pictures
"""
