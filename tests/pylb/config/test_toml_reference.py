"""docs/lb-toml.md lists every key as the schema has it, and its example is a sound configuration."""

from __future__ import annotations

import re
from pathlib import Path

from pylb.config.check import check
from pylb.config.toml import read
from pylb.config.toml.reference import reference

PAGE = Path(__file__).parents[3] / "docs/lb-toml.md"


def test_the_page_ends_with_the_schema_as_it_is():
    assert PAGE.read_text().split("## Every key\n")[1].strip() == reference().strip(), (
        "write it anew: python -m pylb.config.toml.reference"
    )


def test_the_example_on_the_page_is_in_order():
    (example,) = re.findall("```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    config = read(example, "lb.toml", {})
    assert [str(finding) for finding in check(config)] == []
    assert [server.name for server in config.backends[0].servers] == ["w1", "w2"]
