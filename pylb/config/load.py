"""Configuration files to one Config: by name, directory or both languages.

`.toml` files are pylb's own language, all others HAProxy's. Several files of HAProxy's language are read as one
configuration, in the order given; a directory stands for its `*.cfg` files in alphabetical order, as in HAProxy
(management manual, `-f`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pylb.config import toml
from pylb.config.haproxy.reader import Reader
from pylb.config.model import Config, Finding, Origin
from pylb.config.presets import NONE, Presets
from pylb.config.words import Report


def load(paths: Sequence[str], environment: Mapping[str, str], presets: Presets = NONE) -> tuple[Config, list[Finding]]:
    """The configuration in these files and what the readers warn of. Raises ConfigError with all that is wrong.

    `environment` is what `"${NAME}"` reads; setenv in a file changes a copy.
    """
    report = Report()
    files = _files(paths, report)
    toml_files = [file for file in files if file.suffix == ".toml"]
    if toml_files and len(files) > 1:
        others = [str(file) for file in files if file != toml_files[0]]
        report(Origin(str(toml_files[0])), "a TOML configuration is one file", f"leave out {', '.join(others)}")
    report.raise_errors()
    if toml_files:
        config, findings = _load_toml(toml_files[0], environment, report, presets)
    else:
        sources = [(str(file), _text(file, report)) for file in files]
        config, findings = read_haproxy(sources, environment, report, presets)
    return presets.apply(config), findings


def read_haproxy(
    sources: Sequence[tuple[str, str]],
    environment: Mapping[str, str],
    report: Report | None = None,
    presets: Presets = NONE,
) -> tuple[Config, list[Finding]]:
    """The configuration in these (name, text) pairs of HAProxy's language. Raises ConfigError."""
    report = report or Report()
    files = ";".join(name for name, _ in sources)
    reader = Reader(report, dict(environment, **presets.variables(), HAPROXY_CFGFILES=files), presets)
    for name, text in sources:
        reader.read(text, name)
    config = reader.build()
    order = {name: number for number, (name, _) in enumerate(sources)}
    report.findings.sort(key=lambda f: (order.get(f.at.file, -1), f.at.line, f.at.column))
    report.raise_errors(config)
    return config, report.findings


def _load_toml(
    file: Path, environment: Mapping[str, str], report: Report, presets: Presets
) -> tuple[Config, list[Finding]]:
    config = toml.read(_text(file, report), str(file), environment, report)
    report.raise_errors(config)
    known = dict(environment, **presets.variables(), HAPROXY_CFGFILES=str(file))
    return replace(config, environment=known), report.findings


def _files(paths: Sequence[str], report: Report) -> list[Path]:
    """The files that these paths stand for."""
    files: list[Path] = []
    empty: list[Path] = []
    for path in map(Path, paths):
        try:
            found = _found(path)
        except OSError as error:
            report(Origin(str(path)), f"cannot be read: {error.strerror}")
            continue
        if found is None:
            report(Origin(str(path)), "no such file")
        elif not found:
            empty.append(path)
        files += found or []
    if not files:
        for path in empty:
            report(Origin(str(path)), "the directory holds no *.cfg file")
    return files


def _found(path: Path) -> list[Path] | None:
    """The file, or those of the directory; None where there is nothing. Raises OSError."""
    if path.is_dir():
        inside = (p for p in path.iterdir() if p.suffix == ".cfg" and not p.name.startswith("."))
        return sorted(p for p in inside if p.is_file())
    return [path] if path.exists() else None


def _text(file: Path, report: Report) -> str:
    """A file's text; bytes that are not UTF-8 are kept and refused where they are part of a word."""
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        report(Origin(str(file)), f"cannot be read: {error.strerror}")
        return ""
