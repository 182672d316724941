"""`pylb --trace`: the life of each request, told line by line for those who learn how a load balancer decides.

Nothing here is in the way of a request that nobody watches. Rules, tests and routes are wrapped while they are compiled
(rules/watch.py is the seam), backends are made of a class that explains its choice, and sessions, exchanges and server
connections get subclasses that speak before and after the methods they inherit. Without --trace none of this is
imported.

    tracer.py      what the loader asks for: wrapped rules and tests, the traced classes
    story.py       one client connection's lines, numbered connection.request
    printer.py     lines on a terminal or in a file
    client.py      the client's side: bytes, phases, deadlines
    exchange.py    a request on its way to a server and back
    upstream.py    the server's side
    choice.py      which server, and why
    edits.py       what a rule has changed
"""
