"""The house: imports go down only, each outside world has its module, nothing is loaded unused."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import toast_boto

ROOT = Path(toast_boto.__file__).parent

# From the cellar to the roof: a module may import only what stands before it.
ORDER = [
    "errors",
    "_clouds",
    "_regions",
    "_keys",
    "_profiles",
    "_options",
    "_checks",
    "_passwords",
    "_clouds_yaml",
    "_openstack",
    "_settings",
    "_failures",
    "_files",
    "_cache",
    "_notes",
    "_transport",
    "_replies",
    "_keystone",
    "_slots",
    "_rotation",
    "_living",
    "_doors",
    "_held",
    "_lookout",
    "_broker",
    "_brokers",
    "_console",
    "_talk",
    "_credential_process",
    "_credentials",
    "_quirks",
    "_healing",
    "_forks",
    "_pins",
    "_plugin",
    "_install",
    "_sessions",
    "_trial",
    "_proof",
    "_session",
    "session",
    "__init__",
    "sandbox._tls",
    "sandbox._serve",
    "sandbox._swift",
    "sandbox._keystone",
    "sandbox._identity_v2",
    "sandbox._child",
    "sandbox._process",
    "sandbox._sandbox",
    "sandbox",
    "cli._tables",
    "cli._progress",
    "cli._signals",
    "cli._program",
    "cli._debug",
    "cli._login",
    "cli._passwords",
    "cli._profile_text",
    "cli._profile_files",
    "cli._questions",
    "cli._proving",
    "cli._configure",
    "cli._credential_process",
    "cli._environment",
    "cli._keys",
    "cli._cache",
    "cli._clouds",
    "cli._findings",
    "cli._shadows",
    "cli._destination",
    "cli._offline",
    "cli._network",
    "cli._online",
    "cli._doctor",
    "cli._sandbox",
    "cli",
    "__main__",
]

# Who may import what from outside the standard library.
OUTSIDE = {
    "boto3": {"_session", "session"},
    "botocore": {
        "_credentials",
        "_install",
        "_pins",
        "_plugin",
        "_proof",
        "_session",
        "_sessions",
        "_trial",
    },
    "keystoneauth1": {"_keystone", "_replies"},
    "requests": {"_transport", "cli._network"},
    "filelock": {"_cache", "cli._configure"},
    "configupdater": {"cli._profile_files", "cli._profile_text"},
    "keyring": {"cli._passwords"},
    "openstack": {"_clouds_yaml"},
    "cryptography": {"sandbox._tls", "sandbox._keystone"},
    "eventlet": {"sandbox._child", "sandbox._serve"},
    "swift": {"sandbox._serve", "sandbox._swift"},
    "keystone": {"sandbox._keystone"},
    "werkzeug": {"sandbox._keystone", "sandbox._identity_v2"},
}


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        found[".".join(parts)] = path
    return found


def imports(name: str, path: Path) -> set[str]:
    """Absolute names of what a module imports, anywhere in it but for type checking."""
    package = ["toast_boto", *name.split(".")]
    if path.name != "__init__.py":
        package.pop()
    elif name == "__init__":
        package = ["toast_boto"]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *(node.module.split(".") if node.module else [])])
            found |= {f"{whole}.{alias.name}" for alias in node.names}
    return found


def own(imported: str) -> str | None:
    """The module of ours that an import means, None for somebody else's."""
    if imported.partition(".")[0] != "toast_boto":
        return None
    rest = imported.split(".")[1:]
    while rest and ".".join(rest) not in ORDER:
        rest.pop()
    return ".".join(rest) or "__init__"


def test_order_names_every_module() -> None:
    """A new module must find its place in the order, and a removed one must leave it."""
    assert set(ORDER) == set(modules())


@pytest.mark.parametrize("name", ORDER)
def test_imports_go_down_only(name: str) -> None:
    """No module imports one that stands above it."""
    allowed = {*ORDER[: ORDER.index(name)]} | ({name} if name != "__init__" else set())
    for imported in imports(name, modules()[name]):
        module = own(imported)
        if module is None or (name.startswith("cli") and module == "__init__"):
            continue
        assert module in allowed, f"{name} imports {module}"


@pytest.mark.parametrize("name", ORDER)
def test_one_module_for_each_outside_world(name: str) -> None:
    """A package of somebody else's is imported only where it belongs."""
    for imported in imports(name, modules()[name]):
        package = imported.partition(".")[0]
        if package == "toast_boto" or package in sys.stdlib_module_names:
            continue
        if package == "click" and name.partition(".")[0] == "cli":
            continue
        assert name in OUTSIDE.get(package, set()), f"{name} imports {package}"


def test_nobody_elses_underscores() -> None:
    """No attribute with a leading underscore is used but one's own."""
    offences = []
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
                continue
            dunder = node.attr.startswith("__") and node.attr.endswith("__")
            mine = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            documented = node.attr in ("_replace", "_exit")  # of named tuples, and of os
            if not dunder and not mine and not documented:
                offences.append(f"{name}:{node.lineno} .{node.attr}")
    assert offences == []


def test_public_names() -> None:
    """What `from toast_boto import *` gives is a promise."""
    assert toast_boto.__all__ == [
        "AuthenticationError",
        "CacheError",
        "ConfigurationError",
        "IdentityUnavailableError",
        "KeyQuotaError",
        "Rotation",
        "Session",
        "ToastBotoError",
        "ToastBotoWarning",
        "UnsupportedServiceError",
        "client",
        "configure",
        "install",
        "installed",
        "resource",
        "rotate_key",
        "setup_default_session",
        "uninstall",
    ]
    assert {*toast_boto.__all__, "errors", "sandbox", "session"} <= set(dir(toast_boto))
    for name in dir(toast_boto):
        assert getattr(toast_boto, name) is not None


def loaded_after(script: str) -> set[str]:
    """The packages that a fresh interpreter has loaded after a script."""
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_package_loads_nothing() -> None:
    """`import toast_boto` costs the interpreter a few modules of the standard library."""
    heavy = {"boto3", "botocore", "keystoneauth1", "requests", "urllib3", "filelock", "click"}
    assert not heavy & loaded_after("import toast_boto")


def test_making_a_client_loads_no_keystoneauth() -> None:
    """keystoneauth1 and filelock are loaded when Keystone must be asked, and not before."""
    script = (
        "import toast_boto\n"
        "toast_boto.Session(username='u', password='p', tenant_id='t').client('s3')"
    )
    loaded = loaded_after(script)
    assert "botocore" in loaded
    assert not {"keystoneauth1", "requests", "filelock", "click"} & loaded


def test_the_command_line_loads_no_botocore() -> None:
    """--help needs click and nothing heavier."""
    script = "from toast_boto.cli import main; main(['--help'])"
    assert not {"boto3", "botocore", "keystoneauth1", "requests"} & loaded_after(script)
