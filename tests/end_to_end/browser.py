"""A real headless Chromium, driven by its DevTools protocol: what it loads, complains about, draws and prints."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

WAIT = 60.0  # seconds the browser may take for one thing


def chromium() -> str:
    """The browser's program; skips the test where there is none."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("chromium is not there; get it with: apt-get install chromium")
    return found


@dataclass
class Page:
    """One page: every request it made, and everything the browser had to say about it."""

    _socket: aiohttp.ClientWebSocketResponse
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _asked: int = 0
    _loaded: bool = False

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        self._asked += 1
        await self._socket.send_json({"id": self._asked, "method": method, "params": parameters})
        while True:
            told = await self._told()
            if told.get("id") == self._asked:
                assert "error" not in told, told
                answer: dict[str, Any] = told["result"]
                return answer

    async def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = await asyncio.wait_for(self._socket.receive_json(), WAIT)
        match told.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["params"]["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(told["params"]["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Page.javascriptDialogOpening":
                self.complaints.append(str(told["params"]))
            case "Page.loadEventFired":
                self._loaded = True
        return told

    async def open(self, path: Path, *, scripts: bool = False, width: int = 1100, scheme: str = "light") -> None:
        """Opens a file, and waits until it is loaded."""
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.ask(f"{domain}.enable")
        await self.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=1400, deviceScaleFactor=1, mobile=False
        )
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.ask("Page.navigate", url=path.as_uri())
        while not self._loaded:
            await self._told()

    async def said(self, expression: str) -> Any:
        """What a DevTools expression says; it runs also where the page's own scripts may not."""
        answer = await self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def drawn(self, to: Path) -> Path:
        """A picture of what is seen of the page at first."""
        answer = await self.ask("Page.captureScreenshot")
        to.write_bytes(base64.b64decode(answer["data"]))
        return to

    async def printed(self, to: Path) -> Path:
        """The page on paper, as its style wants it."""
        answer = await self.ask("Page.printToPDF", preferCSSPageSize=True, printBackground=True)
        to.write_bytes(base64.b64decode(answer["data"]))
        return to


@contextlib.asynccontextmanager
async def browsing(home: Path) -> AsyncIterator[Page]:
    """A browser with a home of its own and one empty page; it ends with the block."""
    home.mkdir()
    process = await asyncio.create_subprocess_exec(
        chromium(),
        "--headless=new",
        "--no-sandbox",  # it is often root in CI, and opens nothing but our own file
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        f"--user-data-dir={home}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await asyncio.wait_for(_port(home / "DevToolsActivePort"), WAIT)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                (target,) = [one for one in await answer.json() if one["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.terminate()
        await process.wait()


async def _port(file: Path) -> int:
    while True:
        with contextlib.suppress(OSError, ValueError, IndexError):  # not there yet, or not written to its end
            return int(file.read_text().splitlines()[0])
        await asyncio.sleep(0.05)
