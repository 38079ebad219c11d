"""Changes one section in the text of an AWS file, and shows the change without its secrets."""

from __future__ import annotations

import configparser
import difflib
import re
from collections.abc import Iterator, Mapping

from configupdater import ConfigUpdater, Section

from .._profiles import what_is_broken, where_broken
from ..errors import ConfigurationError

Changes = Mapping[str, str | Mapping[str, str] | None]
"""By key: the new value, None to remove the key, or a mapping for a nested one (``s3 =``)."""

_BY_HAND = "{} can't be changed by a program without a loss; write the profile by hand"
_NESTED_INDENT = "  "
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_OR_KEY = re.compile(r"\[|\s*([^\s#;=:][^=:]*?)\s*[=:]")
_SECRET = re.compile(r"password|secret|token|access_key|credential(?!_process)", re.IGNORECASE)


def parsed(text: str, name: str) -> ConfigUpdater:
    """A file's text.

    Args:
        text: with single line feeds.
        name: of the file, for the error's text.

    Raises:
        ConfigurationError: it is none.
    """
    updater, failure = ConfigUpdater(), ""
    try:
        updater.read_string(text)
    except configparser.Error as error:
        failure = f"{name} is no valid AWS file{where_broken(error)}: {what_is_broken(error)}"
    except Exception:  # of versions that stumble over a comment within a value
        failure = _BY_HAND.format(name)
    if not failure and str(updater) != text:
        failure = _BY_HAND.format(name)
    if failure:  # raised out here: what was caught quotes the file
        raise ConfigurationError(f"{failure}. Nothing was changed.")
    return updater


def change_key(section: Section, key: str, value: str | Mapping[str, str] | None) -> None:
    """Change one key of a section; of a nested one the other keys and the comments stay.

    Raises:
        ConfigurationError: the value can't stand in such a file.
    """
    if value is None:
        if key in section:
            del section[key]
    elif isinstance(value, str):
        if _CONTROL.search(value):
            raise ConfigurationError(
                f"the profile is not written: the value of {key} has a line's end or the like in it"
            )
        _see_to_it(section, key)
        if section[key].value != value:
            section[key].value = value
    else:
        _change_nested(section, key, value)


def _change_nested(section: Section, key: str, wanted: Mapping[str, str]) -> None:
    lines = section[key].as_list() if key in section and section[key].value else []
    names = [line.partition("=")[0].strip() for line in lines]
    changed = list(lines)
    for name, text in wanted.items():
        line = f"{name} = {text}"
        if name not in names:
            changed.append(line)
        elif lines[names.index(name)].partition("=")[2].strip() != text:
            changed[names.index(name)] = line
    if changed != lines:
        _see_to_it(section, key)
        indent = re.search(r"\n([ \t]+)\S", str(section[key]))
        section[key].set_values(changed, indent=indent[1] if indent else _NESTED_INDENT)


def _see_to_it(section: Section, key: str) -> None:
    """See that a section has a key; a new one comes after its last, not after what follows it."""
    if key in section:
        return
    options = section.option_blocks()
    if options:
        options[-1].add_after.option(key, "")
    else:
        section.set(key, "")


def verify(before: str, after: str, section_name: str, changes: Changes) -> None:
    """See that the section says what it should, and that everything else stands as it stood.

    Raises:
        ConfigurationError: it does not.
    """
    parser, old = configparser.RawConfigParser(), configparser.RawConfigParser()
    old.read_string(before)
    failure = ""
    try:
        parser.read_string(after)
    except configparser.Error:
        failure = "the file would be damaged"
    else:
        for key, value in changes.items():
            if not isinstance(value, Mapping) and parser[section_name].get(key) != value:
                failure = f"the value of {key} can't stand there; edit the file by hand"
        for name in old.sections():
            if name != section_name and dict(old[name]) != dict(parser[name]):
                failure = f"the section [{name}] would be changed"
    if not failure and _outside(after, section_name) != _outside(before, section_name):
        failure = "lines outside of the profile would be changed"
    if failure:
        raise ConfigurationError(f"the profile is not written: {failure}")


def _outside(text: str, section_name: str) -> list[str]:
    """The lines that are not of a section, without blank ones."""
    inside, found = False, []
    for line in text.split("\n"):
        if line.startswith("["):
            inside = line.startswith(f"[{section_name}]")
        if not inside and line.strip():
            found.append(line)
    return found


class _Shown(str):
    """A line as it is shown; it is compared by what it says."""

    said: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and self.said == other.said

    def __hash__(self) -> int:
        return hash(self.said)


def diff(before: str, after: str, name: str, *, private: bool) -> str:
    """The change of a file, as a unified diff without secrets.

    Args:
        before: the text that was there.
        after: the text that will be.
        name: of the file.
        private: whether every value is a secret, not only those whose key says so.
    """
    lines = difflib.unified_diff(
        list(_shown(before, private)), list(_shown(after, private)), name, name, n=2, lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _shown(text: str, private: bool) -> Iterator[_Shown]:
    secret = private
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    for line in lines:
        start = None if line[:1].isspace() else _HEADER_OR_KEY.match(line)
        comment = line.lstrip().startswith(("#", ";"))
        if start:
            secret = start[1] is not None and (private or bool(_SECRET.search(start[1])))
        # What is indented goes on with the value above, whatever it looks like.
        head = start[0] if start else line[: len(line) - len(line.lstrip())]
        hidden = secret and bool(line.strip())
        if comment:  # of somebody who has put a line out of use
            hidden, head = private or secret or bool(_SECRET.search(line)), line.lstrip()[:1]
        shown = _Shown(f"{head} ***" if hidden else line)
        shown.said = line
        yield shown
