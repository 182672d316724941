"""`userlist NAME` sections (manual: 3.4 "Userlists")."""

from __future__ import annotations

from pylb.config.haproxy.keywords import Keyword, Line, Table
from pylb.config.haproxy.scalars import choice, text
from pylb.config.model import Origin, UserList
from pylb.config.words import Report, Word


class UserListDraft:
    """Users and groups; membership may be written on either side."""

    def __init__(self, name: str, at: Origin, report: Report) -> None:
        self.name = name
        self.at = at
        self._report = report
        self.users: dict[str, tuple[str, bool]] = {}
        self.groups: dict[str, list[str]] = {}
        self.user_groups: list[tuple[str, Word]] = []
        self.group_users: list[Word] = []

    def build(self) -> UserList:
        """The model; members and groups that do not exist are reported."""
        for user, group in self.user_groups:
            if group.text not in self.groups:
                self._report(group.at, f'user "{user}": unknown group "{group.text}" in userlist "{self.name}"')
            elif user not in self.groups[group.text]:
                self.groups[group.text].append(user)
        for member in self.group_users:
            if member.text not in self.users:
                self._report(member.at, f'unknown user "{member.text}" in userlist "{self.name}"')
        users = tuple((name, password, insecure) for name, (password, insecure) in self.users.items())
        return UserList(self.name, users, tuple((g, tuple(members)) for g, members in self.groups.items()), self.at)


def _read_group(draft: UserListDraft, line: Line) -> None:
    name = line.next("a group")
    if name.text in draft.groups:
        line.report.warning(name.at, f'duplicated group "{name.text}" is ignored', "the first one holds")
        line.rest()
        return
    members: list[str] = []
    if line.more:
        line.value(choice("users", kind="word"))
        word = line.next("users")
        members = [member for member in word.text.split(",") if member]
        draft.group_users += [Word(member, word.at) for member in members]
    draft.groups[name.text] = members


def _read_user(draft: UserListDraft, line: Line) -> None:
    name = line.next("a user")
    if name.text in draft.users:
        line.report.warning(name.at, f'duplicated user "{name.text}" is ignored', "the first one holds")
        line.rest()
        return
    password, insecure = "", False
    while line.more:
        option = line.value(choice("password", "insecure-password", "groups", kind="word"))
        if option == "groups":
            word = line.next("groups")
            draft.user_groups += [(name.text, Word(group, word.at)) for group in word.text.split(",") if group]
        else:
            password, insecure = line.value(text, "a password"), option == "insecure-password"
    draft.users[name.text] = (password, insecure)


USERLIST_KEYWORDS: Table[UserListDraft] = Table([Keyword("group", _read_group), Keyword("user", _read_user)])
