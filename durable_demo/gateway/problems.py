"""Errors as problem details (RFC 9457): what, why and what to do, each with its HTTP status."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from durable_demo.errors import (
    ConnectionFailed,
    DemoError,
    InvalidInput,
    NotPossible,
    SessionClosed,
    StackError,
    WorkerUnavailable,
    WorkflowNotFound,
)
from durable_demo.wording import printable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2
"""After this many seconds a server or a Worker may be back."""
STATUSES: Mapping[type[DemoError], int] = {
    InvalidInput: 422,
    WorkflowNotFound: 404,
    NotPossible: 409,
    WorkerUnavailable: 503,
    ConnectionFailed: 503,
    StackError: 503,
    SessionClosed: 503,
}
"""HTTP status of each error, its subclasses included."""


class Problem(BaseModel):
    """What went wrong, and what to do (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:durable-demo:workflow-not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "cannot look at monty-python-12345678: the server knows no such workflow",
                    "instance": "/workflow/monty-python-12345678/status",
                    "why": "workflow not found for ID: monty-python-12345678",
                    "remedy": "look at `await demo.runs()` or `durable-demo status`",
                }
            ]
        }
    )

    type: str = Field(description="What kind of problem: `urn:durable-demo:` and its name, or `about:blank`.")
    title: str = Field(description="Name of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, as one sentence.")
    instance: str = Field(description="Path of the request.")
    why: str = Field(default="", description="The reason, as far as it is known.")
    remedy: str = Field(default="", description="What to do next.")
    errors: list[dict[str, Any]] = Field(default=[], description="For 422: each field that cannot be used, and why.")


class Refusal(Exception):
    """What a gateway itself does not allow.

    Args:
        status: The HTTP status.
        detail: What happened.
        kind: Name of the problem.
        remedy: What to do next.
        headers: Headers of the answer.
    """

    def __init__(
        self, status: int, detail: str, *, kind: str, remedy: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.remedy = remedy
        self.headers = headers

    def response(self, path: str) -> JSONResponse:
        """The answer to a request of this path."""
        return problem(
            self.status, self.detail, instance=path, kind=self.kind, remedy=self.remedy, headers=self.headers
        )


def problem(
    status: int,
    detail: str,
    *,
    instance: str,
    kind: str = "",
    why: str = "",
    remedy: str = "",
    errors: list[dict[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A response that tells a problem; empty members are left out."""
    told = Problem(
        type=f"urn:durable-demo:{kind}" if kind else "about:blank",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=printable(detail),
        instance=quote(instance),
        why=printable(why),
        remedy=printable(remedy),
        errors=errors or [],
    )
    again = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    return JSONResponse(
        told.model_dump(exclude_defaults=True), status, headers={**again, **(headers or {})}, media_type=MEDIA_TYPE
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route's documentation says of its problems; those that any route may have are added."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    words = {
        400: "The request cannot be read",
        401: "The token is missing or wrong",
        403: "The request comes from another web page",
        404: "There is no such workflow",
        409: "The workflow is not in a state that allows this",
        413: "The body is too large",
        421: "The name of this host is not among those that are served",
        422: "The request cannot be used; nothing was sent to the server",
        429: "Too many requests",
        503: "The Temporal server or a Worker is away, or too many streams are open; see `Retry-After`",
    }
    return {
        status: {"description": words[status], "content": {MEDIA_TYPE: schema}}
        for status in sorted({400, 401, 403, 413, 421, 429, 503, *statuses})
    }


def tell_problems(app: FastAPI) -> None:
    """Has an app answer each error with its problem."""

    @app.exception_handler(DemoError)
    def ours(request: Request, error: DemoError) -> JSONResponse:
        return of(error, request.url.path)

    @app.exception_handler(Refusal)
    def refused(request: Request, error: Refusal) -> JSONResponse:
        return error.response(request.url.path)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"where": ".".join(map(str, found["loc"])), "why": printable(str(found["msg"]))} for found in error.errors()
        ]
        first = errors[0]
        return problem(
            422,
            f"{first['where']}: {first['why']}",
            instance=request.url.path,
            kind="invalid-input",
            remedy="`GET /openapi.json` says what this route takes",
            errors=errors,
        )

    @app.exception_handler(HTTPException)
    def by_status(request: Request, error: HTTPException) -> JSONResponse:
        headers = {"Allow": ", ".join(_allowed(request))} if error.status_code == 405 else error.headers
        return problem(error.status_code, str(error.detail), instance=request.url.path, headers=headers)

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem(
            500, "The gateway failed.", instance=request.url.path, remedy="its log says why: where `serve` runs"
        )


def _allowed(request: Request) -> list[str]:
    """All methods of a path; Starlette names those of its first route only."""
    routes = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
    return sorted({method for route in routes for method in getattr(route, "methods", None) or ()})


def of(error: DemoError, instance: str) -> JSONResponse:
    """The problem that an error of ours is."""
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 500)
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    return problem(status, error.what, instance=instance, kind=name, why=error.why, remedy=error.remedy)
