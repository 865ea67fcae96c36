"""Temporal's Web UI through JupyterLab: behind its token, with all that it needs, and in no other way."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Error, Request

from durable_demo import Session, settings
from tests.browser.jupyterlab import DEADLINE_S, SCREENSHOTS, Lab, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="Chromium is not installed"),
]


class Door:
    """A Lab's door to the Web UI of its stack."""

    def __init__(self, lab: Lab, session: Session) -> None:
        assert session.web_ui, "the stack has no Web UI: was every one of its ports taken?"
        self.session = session
        self.secret = lab.token
        self.token = {"Authorization": f"token {lab.token}"}
        self.origin = f"http://127.0.0.1:{lab.port}"
        self.lab = lab.url
        self.path = session.web_ui["path"]

    async def ask(self, method: str, address: str, **options: object) -> httpx.Response:
        """One request without cookies."""
        async with httpx.AsyncClient(base_url=self.origin, timeout=DEADLINE_S, trust_env=False) as client:
            return await client.request(method, address, **options)  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def local(lab: Lab, outside: Session) -> Door:
    return Door(lab, outside)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def behind_hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    """As JupyterHub and Binder run a Lab: below a path of its own."""
    directory = tmp_path_factory.mktemp("hub")
    lab = Lab(directory)
    prefix = "/user/someone/"
    lab.environment[settings.ENV_HUB_PREFIX] = prefix
    lab.url += prefix.rstrip("/")
    config = directory / "config" / "jupyter_server_config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"ServerApp": {"base_url": prefix}}))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(settings.ENV_HUB_PREFIX, prefix)  # whoever is quicker starts the stack
            await lab.start()
            async with Session(lab.home) as session:
                yield Door(lab, session)
    finally:
        await lab.stop()


@pytest.fixture(params=["local", "behind_hub"])
def door(request: pytest.FixtureRequest) -> Door:
    found: Door = request.getfixturevalue(request.param)
    return found


async def test_with_the_token_the_lab_serves_it_with_all_its_files(door: Door) -> None:
    page = await door.ask("GET", f"{door.path}/", headers=door.token)
    assert page.status_code == 200
    files = set(re.findall(r'(?:href=|src=|import\()"([^"]+)"', page.text))
    assert len(files) > 5
    assert all(file.startswith(f"{door.path}/") for file in files)
    for file in files:
        assert (await door.ask("GET", file, headers=door.token)).status_code == 200, file


async def test_without_the_token_the_lab_refuses_it(door: Door) -> None:
    for page in ("/", "/api/v1/namespaces", "/api/v1/settings"):
        answer = await door.ask("GET", door.path + page)
        assert answer.status_code == 302
        assert "/login?" in answer.headers["location"]
    for token in ({}, {"Authorization": "token wrong"}):
        answer = await door.ask("POST", f"{door.path}/api/v1/namespaces/default/workflows/a/terminate", headers=token)
        assert answer.status_code == 403


async def test_the_proxy_reaches_no_other_host(local: Door) -> None:
    answer = await local.ask("GET", "/proxy/absolute/192.0.2.1:80/", headers=local.token)
    assert answer.status_code == 403


async def test_another_site_cannot_act_in_the_name_of_who_is_logged_in(local: Door) -> None:
    run = await local.session.start_monty(min_sleep=60, max_sleep=60)
    address = f"{local.path}/api/v1/namespaces/default/workflows/{run.id}/terminate"
    async with httpx.AsyncClient(base_url=local.origin, timeout=DEADLINE_S, trust_env=False) as person:
        await person.get("/lab", params={"token": local.secret})
        assert (await person.get(f"{local.path}/api/v1/namespaces")).status_code == 200
        for site in ("cross-site", "same-site"):
            headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": site, "Content-Type": "text/plain"}
            assert (await person.post(address, headers=headers, content=b"{}")).status_code in (400, 403)
        rebound = await person.get(f"{local.path}/api/v1/namespaces", headers={"Host": "evil.example"})
        assert rebound.status_code == 403
    assert (await run.status()).status == "RUNNING"
    await run.terminate()


@pytest.mark.parametrize("port", settings.WEB_UI_PORTS)
async def test_a_browser_opens_none_of_its_ports_itself(chromium: BrowserContext, port: int) -> None:
    page = await chromium.new_page()
    with pytest.raises(Error, match="ERR_UNSAFE_PORT"):
        await page.goto(f"http://127.0.0.1:{port}/")
    await page.close()


async def test_the_history_of_a_workflow_is_shown_and_nothing_is_asked_of_others(
    door: Door, chromium: BrowserContext
) -> None:
    run = await door.session.start_monty(min_sleep=0.1, max_sleep=0.2, iterations=1)
    await run.result()
    strangers: list[str] = []

    def see(request: Request) -> None:
        if not request.url.startswith((f"{door.origin}/", "data:", "blob:")):
            strangers.append(request.url)

    page = await chromium.new_page()
    await page.set_viewport_size({"width": 1300, "height": 900})
    page.set_default_timeout(DEADLINE_S * 1000)
    await page.goto(f"{door.lab}/api/status?token={door.secret}")
    page.on("request", see)
    await page.goto(door.origin + door.session.web_url(run.id))
    await expect(page.get_by_role("heading", name=run.id)).to_be_visible()
    await page.get_by_role("link", name="Event History").or_(page.get_by_role("tab", name="Event History")).click()
    await expect(page.get_by_text("Workflow Execution Completed").first).to_be_visible()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"web-ui{'-behind-hub' if door.path.startswith('/user/') else ''}.png")
    await page.close()
    assert strangers == []
