"""From settings to a connected Temporal client: environment, `temporal.toml`, and clear errors.

Where the server is comes from `temporalio.envconfig`, as in every Temporal SDK; with nothing set, the embedded stack
is used (`stack.py`).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import socket
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import temporalio.api.enums.v1 as enums
import temporalio.api.taskqueue.v1 as taskqueue
import temporalio.api.workflowservice.v1 as service
import tenacity
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode

from durable_demo import settings
from durable_demo.errors import ConnectionFailed, InvalidInput, NamespaceNotFound, ServerTooOld, ServerUnreachable

DEFAULT_NAMESPACE = "default"
WORKER_IDENTITY_PREFIX = "durable-demo-worker"


@dataclass(frozen=True)
class Connection:
    """Where a Temporal server is and how to get in. Shows no secret.

    Attributes:
        address: `host:port`.
        namespace: Namespace.
        options: Further arguments of `Client.connect()`: API key, TLS, metadata.
    """

    address: str
    namespace: str = DEFAULT_NAMESPACE
    options: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


def configured() -> Connection | None:
    """The connection that the environment or a `temporal.toml` asks for; None if nothing is set.

    Raises:
        InvalidInput: What is set cannot be used: no such profile, no address, an address without a port.
    """
    try:
        profile = ClientConfigProfile.load()
        config: dict[str, Any] = {**profile.to_client_connect_config()}
    except Exception as error:  # envconfig publishes no type for its errors
        raise InvalidInput(
            "The Temporal connection settings cannot be read.",
            why=str(error).partition("\n")[0],  # what follows quotes the file, which may hold keys
            remedy="correct TEMPORAL_PROFILE or TEMPORAL_CONFIG_FILE, or unset both to use the embedded server",
        ) from None
    if not config:
        return None
    address = config.pop("target_host", "")
    if not address:
        raise InvalidInput(
            f"Connection settings are set ({', '.join(sorted(config))}), but no address of a server.",
            remedy="set TEMPORAL_ADDRESS to host:port, or unset the others to use the embedded server",
        )
    if not re.fullmatch(r"[^\s/]+:\d{1,5}", address):
        raise InvalidInput(
            f"The server address {address!r} is not host:port.",
            remedy="set TEMPORAL_ADDRESS, for example to 127.0.0.1:7233 (there is no default port)",
        )
    return Connection(address, config.pop("namespace", None) or DEFAULT_NAMESPACE, config)


@functools.cache
def runtime() -> Runtime:
    """The SDK core of this process; what it logs goes to the Python logger `durable_demo.core`, never to a cell."""
    logging.getLogger("durable_demo").addHandler(logging.NullHandler())  # else Python prints what nobody handles
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"),
                forwarding=LogForwardingConfig(logger=logging.getLogger("durable_demo.core")),
            )
        )
    )


async def connect(
    connection: Connection,
    *,
    identity: str | None = None,
    deadline: timedelta = settings.CONNECT_DEADLINE,
) -> Client:
    """Connect and see that the server is usable: it answers, is not too old, and has the Namespace.

    Raises:
        ServerUnreachable: Nothing answered within the deadline.
        ServerTooOld: Its version lacks what the kit needs.
        NamespaceNotFound: It has no such Namespace.
        ConnectionFailed: It refused the credentials or the request.
    """
    try:
        async with asyncio.timeout(deadline.total_seconds()):
            client = await Client.connect(
                connection.address,
                namespace=connection.namespace,
                identity=identity,
                connect_timeout=settings.CONNECT_TIMEOUT,
                runtime=runtime(),
                **connection.options,
            )
            await _require_version(client, connection)
            await _require_namespace(client, connection)
            return client
    except TimeoutError:
        raise _unreachable(connection, f"no answer within {deadline.total_seconds():g} s") from None
    except RPCError as error:
        if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
            raise _unreachable(connection, error.message) from error
        raise _refused(connection, f"{error.status.name}: {error.message}") from error
    except (RuntimeError, ValueError) as error:  # what Client.connect() raises when the handshake fails
        if "code: Unauthenticated" in str(error) or "code: PermissionDenied" in str(error):
            raise _refused(connection, _readable(error)) from error
        raise _unreachable(connection, _readable(error)) from error


connect_patiently = tenacity.retry(
    retry=tenacity.retry_if_exception_type((ServerUnreachable, NamespaceNotFound)),
    wait=tenacity.wait_fixed(0.1),
    stop=tenacity.stop_after_delay(settings.START_DEADLINE),
    reraise=True,
)(connect)
"""`connect` to a server that is known to run or to start: it makes its Namespace a moment after it answers."""


async def pollers(client: Client, task_queue: str) -> set[str]:
    """Identities of the Workers that polled the Task Queue for Workflow Tasks lately (some may be gone).

    Raises:
        RPCError: The server did not answer.
    """
    answer = await client.workflow_service.describe_task_queue(
        service.DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=taskqueue.TaskQueue(name=task_queue),
            task_queue_type=enums.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        ),
        timeout=settings.CONNECT_DEADLINE,
    )
    return {poller.identity for poller in answer.pollers}


def worker_identity(pid: int) -> str:
    """Identity of the kit's Worker with this pid on this host; replicas in containers often have the same pid."""
    return f"{WORKER_IDENTITY_PREFIX}@{pid}@{socket.gethostname()}"


async def _require_version(client: Client, connection: Connection) -> None:
    info = await client.workflow_service.get_system_info(service.GetSystemInfoRequest())
    version = re.match(r"(\d+)\.(\d+)", info.server_version)  # Temporal Cloud need not name one: it is never too old
    needed = settings.MINIMUM_SERVER_VERSION
    if version and (int(version[1]), int(version[2])) < needed:
        raise ServerTooOld(
            f"The Temporal server at {connection.address} has version {info.server_version}.",
            why=f"The kit needs {'.'.join(map(str, needed))} or later.",
            remedy="upgrade that server, or unset TEMPORAL_ADDRESS to use the embedded one",
        )


async def _require_namespace(client: Client, connection: Connection) -> None:
    try:
        await client.workflow_service.describe_namespace(
            service.DescribeNamespaceRequest(namespace=connection.namespace)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise NamespaceNotFound(
            f"The Temporal server at {connection.address} has no Namespace {connection.namespace!r}.",
            remedy=(
                f"`temporal operator namespace create --address {connection.address} -n {connection.namespace}`, "
                "or set TEMPORAL_NAMESPACE"
            ),
        ) from error


def _unreachable(connection: Connection, why: str) -> ServerUnreachable:
    return ServerUnreachable(
        f"No Temporal server answers at {connection.address}.",
        why=why,
        remedy="start that server or correct TEMPORAL_ADDRESS (unset: the embedded server), then `durable-demo doctor`",
    )


def _refused(connection: Connection, why: str) -> ConnectionFailed:
    return ConnectionFailed(
        f"The Temporal server at {connection.address} refused Namespace {connection.namespace!r}.",
        why=why,
        remedy="check TEMPORAL_NAMESPACE and TEMPORAL_API_KEY (or the profile in `temporal.toml`)",
    )


def _readable(error: Exception) -> str:
    """The last quoted reason of the SDK core's nested debug output, or all of it."""
    reasons = re.findall(r'(?:message: |error: )"([^"]+)"', str(error))
    return reasons[-1] if reasons else str(error)
