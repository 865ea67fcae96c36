"""The connections of a gateway that is served."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.gateway.served import Served

pytestmark = pytest.mark.slow

CLIENTS = 20
KEPT_S = 5.5
"""httpx itself uses a connection again within 5 s."""


async def test_a_client_may_use_its_connection_again_after_a_while(served: Served):
    async def ask_twice(after: float) -> None:
        ports = []
        kept = httpx.Limits(keepalive_expiry=60)
        async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=kept) as client:
            for wait in (after, 0.0):
                response = await client.get("/openapi.json")
                ports.append(response.extensions["network_stream"].get_extra_info("client_addr"))
                await asyncio.sleep(wait)
        assert ports[0] == ports[1]

    await asyncio.gather(*(ask_twice(KEPT_S - number / CLIENTS) for number in range(CLIENTS)))
