"""The configuration as plain, frozen data: what both languages, TOML and haproxy.cfg, are read into.

Nothing here has behaviour beyond small derived properties. Everything downstream (the check, the rule compiler, the
backends, the network side) reads these classes and never the text they came from, so a second language costs a reader
and nothing else. `defaults` sections are resolved by the readers: a section holds the values that apply to it.

Every node carries the `at` it came from. It takes no part in comparison, so the same configuration read from two
languages compares equal.

Times are float seconds, sizes are bytes. None means "not given": the default stands beside the field. The haproxy.cfg
keyword stands in the line under a field where its name differs.

    config     everything together: the global section, proxies, users
    proxies    frontend, backend, listen             binds      where clients and operators come in
    servers    server lines and checks               choice     balance, cookie, stick tables
    rules      samples, ACLs, conditions, rules      logs       log lines, captures
    origin     where something stands, and what is to be said of it
"""

from pylb.config.model.binds import Address, Bind, BindTls, StatsSocket
from pylb.config.model.choice import Balance, Cookie, HashType, StickRule, StickTable
from pylb.config.model.config import Config, ConfigError, Global, Tune, UserList
from pylb.config.model.logs import NAMED_FORMATS, Capture, LogTarget
from pylb.config.model.origin import NOWHERE, Finding, Origin
from pylb.config.model.proxies import Backend, ErrorFile, ForwardFor, Frontend, Proxy, StatsPage, Timeouts
from pylb.config.model.rules import Acl, Call, Condition, Rule, Sample, Term, Test, UseBackend
from pylb.config.model.servers import CheckStep, HealthCheck, Server, ServerAgent, ServerCheck, ServerTls

__all__ = [
    "NAMED_FORMATS",
    "NOWHERE",
    "Acl",
    "Address",
    "Backend",
    "Balance",
    "Bind",
    "BindTls",
    "Call",
    "Capture",
    "CheckStep",
    "Condition",
    "Config",
    "ConfigError",
    "Cookie",
    "ErrorFile",
    "Finding",
    "ForwardFor",
    "Frontend",
    "Global",
    "HashType",
    "HealthCheck",
    "LogTarget",
    "Origin",
    "Proxy",
    "Rule",
    "Sample",
    "Server",
    "ServerAgent",
    "ServerCheck",
    "ServerTls",
    "StatsPage",
    "StatsSocket",
    "StickRule",
    "StickTable",
    "Term",
    "Test",
    "Timeouts",
    "Tune",
    "UseBackend",
    "UserList",
]
