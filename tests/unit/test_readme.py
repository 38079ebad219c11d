"""The README says what is so."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

import toast_boto
from toast_boto._clouds import CLOUDS
from toast_boto._options import OPTIONS, Option

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: str(option.name))
def test_table_of_settings(option: Option) -> None:
    """Each option has its row, with all its names and its default."""
    rows = [line for line in README.splitlines() if line.startswith(f"| {option.title} | ")]
    assert len(rows) == 1
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[1] == (f"`{option.name}`" if option.argument else "")
    if option.name != "endpoint_url":  # the rest of its places are botocore's
        names = re.findall(r"`(\w+)`", cells[2])
        assert names == [*option.environment, *option.openstack]
        assert re.findall(r"`(\w+)`", cells[3]) == ([option.profile] if option.profile else [])
        if option.name != "cloud" and option.default:
            assert cells[4].startswith(f"`{option.default}`")


def test_clouds() -> None:
    """Every cloud is named with its regions."""
    (text,) = re.findall(r"^Clouds: ([^#]*?)\n\n", README, re.MULTILINE)
    groups = re.findall(r"((?:`\w+`(?:, )?)+) \(([^)]*)\)", text.replace("\n", " "))
    named = {
        name: regions.split(", ")
        for names, regions in groups
        for name in re.findall(r"`(\w+)`", names)
    }
    assert named == {name: list(cloud.endpoint_urls) for name, cloud in CLOUDS.items()}


def test_python_in_it_is_python() -> None:
    """The snippets parse, and every name of ours in them is public."""
    snippets = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(snippets) == 3
    for snippet in snippets:
        for node in ast.walk(ast.parse(snippet)):
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "toast_boto":
                assert node.attr in toast_boto.__all__


def test_continuous_integration_runs_the_test_command() -> None:
    """.ci/run takes its command from the README, and finds it."""
    pattern = re.search(r"grep -m1 -E '([^']*)'", (ROOT / ".ci" / "run").read_text())
    assert pattern
    found = subprocess.run(
        ["grep", "-c", "-E", pattern[1], str(ROOT / "README.md")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "1"
