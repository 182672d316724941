"""HAProxy's own language, version 2.6, read into pylb's model.

reader.py          files, sections and lines, in the order they are read
lexer.py           one line into words; conditional.py: .if … .endif
keywords.py        what tables of keywords are made of
proxy_keywords.py  the table of proxies, put together from the files by subject; global_section.py, bind.py,
                   server.py, userlists.py: the other tables
proxy.py           inheritance from defaults, and building Frontend and Backend
listing.py         every keyword and what becomes of it, for the manual
"""
