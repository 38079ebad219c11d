"""A real Keystone and a real Swift on loopback, for trying, testing and CI without an account.

Needs the extra ``sandbox`` and Python 3.11 or newer::

    with toast_boto.sandbox.Sandbox() as cloud:
        session = toast_boto.Session(
            auth_url=cloud.auth_url, username=cloud.username, password=cloud.password,
            tenant_id=cloud.tenant_id, ca_bundle=cloud.ca_bundle,
        )
"""

from toast_boto.sandbox._process import SandboxError
from toast_boto.sandbox._sandbox import Request, Sandbox, User

__all__ = ["Request", "Sandbox", "SandboxError", "User"]
