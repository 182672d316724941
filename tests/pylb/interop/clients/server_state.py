"""What a server's state is, asked without any of the clients."""

from admin_pair import Program


def status(program: Program, server: str) -> str:
    """A server's state, as `show stat` has it, without the count of checks that it is on its way with."""
    rows = (line.split(",") for line in program.ask("show stat").splitlines())
    return next(row[17].split()[0] for row in rows if row[:2] == ["app", server])


def answers(program: Program) -> bool:
    """The admin socket is there."""
    try:
        return "app,dead" in program.ask("show stat")
    except OSError:
        return False
