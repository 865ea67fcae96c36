"""Temporal's own Web UI: where it is, for the embedded server, a configured one and Temporal Cloud.

The UI of the embedded server takes any Host header and knows no password. On a usual port a web page from anywhere
could read and change everything in it once its own name resolves to 127.0.0.1 (DNS rebinding), and no option of the
server closes that. So it listens on a port that no browser opens (`settings.WEB_UI_PORTS`), and people reach it through
jupyter-server-proxy: behind JupyterLab's token, on this machine as on Binder or JupyterHub.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from durable_demo import settings
from durable_demo.errors import InvalidInput

_CLOUD = re.compile(r".+\.(tmprl\.cloud|api\.temporal\.io):7233")


@dataclass(frozen=True)
class WebUi:
    """Where the Web UI of one server is.

    Attributes:
        direct: Its address. If `path` is set, browsers refuse this one: it is for programs on the server's machine.
        path: Path on the Jupyter server through which browsers reach it, as the Jupyter server's own address has it
            (behind JupyterHub with its prefix); empty if they go to `direct`.
        namespace: Namespace to show.
    """

    direct: str
    path: str
    namespace: str

    @property
    def root(self) -> str:
        """Its first page as a browser needs it: a path on the Jupyter server, or an address."""
        return self.path or self.direct

    def url(self, workflow_id: str = "", run_id: str = "") -> str:
        """The page of a workflow's Event History, or the list of workflows."""
        parts = ["namespaces", self.namespace, "workflows"]
        if workflow_id:
            parts.append(workflow_id)
            if run_id:
                parts += [run_id, "history"]
        return "/".join([self.root, *(quote(part, safe="") for part in parts)])


def embedded_web_ui(host: str, port: int, namespace: str) -> WebUi:
    """The Web UI of the embedded server; its public path is where jupyter-server-proxy serves this port."""
    prefix = os.environ.get(settings.ENV_HUB_PREFIX, "").strip().strip("/")
    path = "/".join(filter(None, [prefix, "proxy/absolute", str(port)]))
    return WebUi(f"http://{host}:{port}", f"/{path}", namespace)


def configured_web_ui(address: str, namespace: str) -> WebUi | None:
    """The Web UI of a configured server: what `DURABLE_DEMO_WEB_UI` says, else Temporal Cloud's for an address there.

    Raises:
        InvalidInput: `DURABLE_DEMO_WEB_UI` is no http or https address.
    """
    asked_for = os.environ.get(settings.ENV_WEB_UI, "").strip().rstrip("/")
    if asked_for:
        _require_http(asked_for)
        return WebUi(asked_for, "", namespace)
    if _CLOUD.fullmatch(address):
        return WebUi("https://cloud.temporal.io", "", namespace)
    return None


def _require_http(address: str) -> None:
    why = ""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises if it is no port
        if parts.scheme not in ("http", "https") or not parts.hostname:
            why = "It does not begin with http:// or https:// and a host."
        elif parts.username is not None:
            why = "It holds a user name; links with it would be shown."
        elif parts.query or parts.fragment or not address.isprintable() or " " in address:
            why = "Links are made from it: it can have a path, and no more."
    except ValueError as error:
        why = str(error)
    if why:
        raise InvalidInput(
            f"{settings.ENV_WEB_UI} is not the address of a Web UI.",
            why=why,
            remedy=f"set {settings.ENV_WEB_UI}, for example to http://127.0.0.1:8233, or unset it",
        )
