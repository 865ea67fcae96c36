"""The kit over HTTP: the verbs of `client` as routes, events as server-sent events, and the panel as a web page.

It needs the extra `gateway` and knows nothing that the notebook API does not: each route is a thin adapter. Start it
with `durable-demo serve`; `GET /openapi.json` describes the routes.
"""

from __future__ import annotations
