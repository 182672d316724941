"""`pylb top`: a terminal console over an admin socket, pylb's or HAProxy's.

socket asks, table makes rows of the answers, app shows them and sends an operator's commands. Nothing in here knows
the running proxy: what it shows is what `show info` and `show stat` say.
"""
