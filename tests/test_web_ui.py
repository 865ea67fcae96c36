"""Where Temporal's Web UI is: addresses, prefixes, what is refused."""

from __future__ import annotations

import pytest

from durable_demo import settings
from durable_demo.errors import InvalidInput
from durable_demo.web_ui import WebUi, configured_web_ui, embedded_web_ui

ADDRESS = "temporal.example:7233"


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        pytest.param("", "/proxy/absolute/6665", id="local"),
        pytest.param("/", "/proxy/absolute/6665", id="root"),
        pytest.param("/user/someone/", "/user/someone/proxy/absolute/6665", id="hub"),
        pytest.param("user/someone", "/user/someone/proxy/absolute/6665", id="without-slashes"),
    ],
)
def test_the_path_of_the_embedded_one_is_where_the_proxy_serves_its_port(
    monkeypatch: pytest.MonkeyPatch, prefix: str, path: str
) -> None:
    monkeypatch.setenv(settings.ENV_HUB_PREFIX, prefix)
    assert embedded_web_ui("127.0.0.1", 6665, "default") == WebUi("http://127.0.0.1:6665", path, "default")


def test_pages_are_on_the_jupyter_server_where_there_is_a_path_and_else_at_the_address() -> None:
    embedded = WebUi("http://127.0.0.1:6665", "/proxy/absolute/6665", "default")
    assert embedded.url() == "/proxy/absolute/6665/namespaces/default/workflows"
    assert embedded.url("a") == "/proxy/absolute/6665/namespaces/default/workflows/a"
    assert embedded.url("a", "b") == "/proxy/absolute/6665/namespaces/default/workflows/a/b/history"
    other = WebUi("https://ui.example/temporal", "", "my ns/?#")
    assert other.url("<a> /ä") == (
        "https://ui.example/temporal/namespaces/my%20ns%2F%3F%23/workflows/%3Ca%3E%20%2F%C3%A4"
    )


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:8233", "https://ui.example", "https://ui.example/temporal/", " http://[::1]:8233 "]
)
def test_the_setting_tells_where_that_of_a_configured_server_is(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(settings.ENV_WEB_UI, address)
    assert configured_web_ui(ADDRESS, "prod") == WebUi(address.strip().rstrip("/"), "", "prod")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "ui.example:8080",
        "//ui.example",
        "http://",
        "ftp://ui.example",
        "http://ui.example:port",
        "http://ui.example:99999",
        "http://[ui.example",
        "http://ui.example/?a=b",
        "http://ui.example/#a",
        "http://ui.example/a b",
        "http://ui.example/\u202ea",
    ],
)
def test_what_is_no_address_of_a_web_ui_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(settings.ENV_WEB_UI, address)
    with pytest.raises(InvalidInput, match=settings.ENV_WEB_UI) as caught:
        configured_web_ui(ADDRESS, "default")
    assert caught.value.why
    assert caught.value.remedy


def test_a_password_in_it_is_refused_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ENV_WEB_UI, "https://someone:s3cr3t@ui.example")
    with pytest.raises(InvalidInput, match="user name") as caught:
        configured_web_ui(ADDRESS, "default")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("prod.a1b2c.tmprl.cloud:7233", True),
        ("us-west-2.aws.api.temporal.io:7233", True),
        ("127.0.0.1:7233", False),
        ("tmprl.cloud.example:7233", False),
        ("prod.tmprl.cloud.example:7233", False),
    ],
)
def test_that_of_temporal_cloud_is_known(address: str, known: bool) -> None:
    expected = WebUi("https://cloud.temporal.io", "", "prod.a1b2c") if known else None
    assert configured_web_ui(address, "prod.a1b2c") == expected
