"""lb.toml, the native language: pleasant to write by hand, and everything the model holds can be written in it.

    [global]                    what concerns the process
    [defaults]                  values for every section below that does not say otherwise
    [frontend.NAME]             [backend.NAME]   [listen.NAME]   [userlist.NAME]

Three habits make up the language. Keys are HAProxy's keywords, and a family of keywords is a table
(`timeout = { client = "1m" }`). Rules, ACLs, conditions and samples are strings in HAProxy's own words, as they stand
behind their keyword. A keyword that may repeat takes an array, whose brackets may be left out around a single value.

`read(write(config)) == config` for every configuration the readers can produce.
"""

from __future__ import annotations

from collections.abc import Mapping

from pylb.config.model import Config
from pylb.config.words import Report


def read(text: str, file: str = "", env: Mapping[str, str] | None = None, report: Report | None = None) -> Config:
    """TOML to the model; `reader.read` has the details. pydantic and tree-sitter are imported here and not before."""
    from pylb.config.toml.reader import read as read_toml

    return read_toml(text, file, env, report)


def write(config: Config) -> str:
    """The model as TOML: defaults left out, common values under `[defaults]`."""
    from pylb.config.toml.writer import write as write_toml

    return write_toml(config)
