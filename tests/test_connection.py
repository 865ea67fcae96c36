"""From settings to a client, and what is said when there is none."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
import temporalio.api.workflowservice.v1 as service

from durable_demo import settings
from durable_demo.connection import Connection, configured, connect, pollers, worker_identity
from durable_demo.errors import ConnectionFailed, InvalidInput, NamespaceNotFound, ServerTooOld, ServerUnreachable
from durable_demo.processes import environment
from durable_demo.session import Session

SECRET = "s3cr3t-key"


@pytest.fixture(autouse=True)
def no_config_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "none.toml"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# --- settings ---


def test_with_nothing_set_there_is_no_connection() -> None:
    assert configured() is None


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "host:7233")
    assert configured() == Connection("host:7233", "default")
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "mine")
    assert configured() == Connection("host:7233", "mine")


def test_a_profile_names_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text('[profile.team]\naddress = "team:7233"\nnamespace = "shared"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    assert configured() is None
    monkeypatch.setenv("TEMPORAL_PROFILE", "team")
    assert configured() == Connection("team:7233", "shared")


def test_an_api_key_switches_tls_on_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "host:7233")
    monkeypatch.setenv("TEMPORAL_API_KEY", SECRET)
    connection = configured()
    assert connection
    assert connection.options == {"api_key": SECRET, "tls": True}
    assert SECRET not in f"{connection!r} {connection}"


@pytest.mark.parametrize("address", ["host", "http://host:7233", "host:", "a b:7233"])
def test_an_address_without_host_and_port_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    with pytest.raises(InvalidInput, match=r"is not host:port[\s\S]*TEMPORAL_ADDRESS"):
        configured()


def test_settings_without_an_address_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_API_KEY", SECRET)
    with pytest.raises(InvalidInput, match=r"api_key.*no address") as caught:
        configured()
    assert SECRET not in str(caught.value)


def test_an_unknown_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "nobody")
    with pytest.raises(InvalidInput, match="nobody"):
        configured()


def test_a_broken_file_is_reported_without_its_content(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "temporal.toml"
    file.write_text(f'[profile.default]\napi_key = "{SECRET}\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    with pytest.raises(InvalidInput, match="line 2") as caught:
        configured()
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


# --- servers that cannot be used ---


async def test_a_closed_port_is_unreachable_at_once() -> None:
    started = time.monotonic()
    with pytest.raises(ServerUnreachable, match=r"No Temporal server answers at 127.0.0.1:\d+[\s\S]*Next: start"):
        await connect(Connection(f"127.0.0.1:{free_port()}"), deadline=timedelta(minutes=2))
    assert time.monotonic() - started < 60


async def test_a_server_that_accepts_and_never_answers_is_unreachable_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(ServerUnreachable, match="no answer within 5 s"):
            await connect(Connection(f"127.0.0.1:{silent.getsockname()[1]}"))
        assert time.monotonic() - started < 30


def test_the_sdk_core_prints_nothing_of_its_own() -> None:
    code = f"""if True:
        import asyncio, contextlib
        from durable_demo.connection import Connection, connect
        from durable_demo.processes import leave
        with contextlib.suppress(Exception):
            asyncio.run(connect(Connection("127.0.0.1:{free_port()}")))
        leave(0)  # as our commands do: the core's threads sometimes crash a Python that is torn down
    """
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout + ended.stderr == ""


class FakeServer(grpc.GenericRpcHandler):
    """A gRPC server that answers `GetSystemInfo` with a version and refuses `DescribeNamespace` as told."""

    def __init__(self, version: str, refusal: grpc.StatusCode) -> None:
        self.version = version
        self.refusal = refusal

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        def describe_namespace(_: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(self.refusal, "not for you")
            return b""

        def get_system_info(*_: object) -> bytes:
            return service.GetSystemInfoResponse(server_version=self.version).SerializeToString()

        method = details.method.rpartition("/")[2]
        answer: Callable[..., bytes] | None = {
            "GetSystemInfo": get_system_info,
            "DescribeNamespace": describe_namespace,
        }.get(method)
        return grpc.unary_unary_rpc_method_handler(answer) if answer else None


@pytest.fixture
def fake_server() -> Iterator[Callable[..., Connection]]:
    servers: list[grpc.Server] = []

    def start(version: str, refusal: grpc.StatusCode = grpc.StatusCode.PERMISSION_DENIED) -> Connection:
        server = grpc.server(ThreadPoolExecutor(2), handlers=[FakeServer(version, refusal)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return Connection(f"127.0.0.1:{port}")

    yield start
    for server in servers:
        server.stop(None).wait(5)


@pytest.mark.parametrize("version", ["1.10.0", "0.99.1", "1.23.9-rc1"])
async def test_a_server_that_is_too_old_is_named_with_its_version(
    fake_server: Callable[..., Connection], version: str
) -> None:
    needed = ".".join(map(str, settings.MINIMUM_SERVER_VERSION))
    with pytest.raises(ServerTooOld, match=rf"has version {version}.\nWhy: The kit needs {needed}.*\nNext: upgrade"):
        await connect(fake_server(version))


@pytest.mark.parametrize("version", ["", "cloud", "1.24.0", "2.0"])
async def test_a_version_that_is_new_or_unknown_passes(fake_server: Callable[..., Connection], version: str) -> None:
    with pytest.raises(NamespaceNotFound):  # the next check
        await connect(fake_server(version, grpc.StatusCode.NOT_FOUND))


async def test_refused_credentials_are_told_from_an_unreachable_server(
    fake_server: Callable[..., Connection],
) -> None:
    with pytest.raises(ConnectionFailed, match=r"refused[\s\S]*not for you[\s\S]*TEMPORAL_API_KEY") as caught:
        await connect(fake_server("1.30.0"))
    assert type(caught.value) is ConnectionFailed


# --- a real server ---


@pytest.mark.slow
async def test_an_unknown_namespace_is_named_with_the_command_that_makes_it(demo: Session) -> None:
    with pytest.raises(NamespaceNotFound, match=r"no Namespace 'nowhere'[\s\S]*namespace create .*-n nowhere"):
        await connect(Connection(demo.info.address, "nowhere"))


@pytest.mark.slow
async def test_the_worker_of_the_stack_is_among_the_pollers(demo: Session) -> None:
    client = await connect(Connection(demo.info.address, demo.info.namespace), identity="a-test")
    assert client.identity == "a-test"
    assert demo.info.worker
    assert worker_identity(demo.info.worker.pid) in await pollers(client, demo.info.task_queue)
