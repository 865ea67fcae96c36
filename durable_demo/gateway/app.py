"""The application: routes, page, guard, and what they share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from durable_demo import __version__
from durable_demo.gateway import pages, routes
from durable_demo.gateway.guard import Access, Guard
from durable_demo.gateway.limits import Limits
from durable_demo.gateway.problems import Problem, tell_problems
from durable_demo.session import Session

_DESCRIPTION = """\
Durable execution, to be seen: start a Monty Python workflow or a conversation with a durable agent, and follow their
events live.

* Events are server-sent events; README lists them. Each *fact* comes once and in order; a *tick* carries the offset of
  the fact that it follows. Resume behind any of them with `Last-Event-ID`.
* Every error is a problem (RFC 9457): `detail` is what happened, `why` the reason, `remedy` what to do next.
"""


def make_app(demo: Session, allowed: Limits) -> FastAPI:
    """The application without its guard.

    Args:
        demo: A started session; closed by whoever started it.
        allowed: What people have set.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.gateway = routes.Gateway(demo, allowed)
        app.state.pages = pages.Pages(demo, allowed.pages)
        try:
            yield
        finally:
            await app.state.gateway.streams.close()
            app.state.pages.close()

    # No docs_url: its page would load scripts from elsewhere.
    app = FastAPI(
        title="Durable Demo", version=__version__, description=_DESCRIPTION, lifespan=lifespan,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.include_router(routes.router)
    app.include_router(pages.router)
    tell_problems(app)

    def describe() -> dict[str, object]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
            schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]
    return app


def guarded(app: ASGIApp, access: Access) -> ASGIApp:
    """An application behind its guard; pages that are allowed can read what the guard answers, too."""
    wall: ASGIApp = Guard(app, access)
    if not access.origins:
        return wall
    return CORSMiddleware(
        wall,
        allow_origins=access.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
        expose_headers=["Content-Location", "Retry-After"],
    )
