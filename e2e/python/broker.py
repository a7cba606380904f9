"""A ``carnet dev`` of our own, ended by its process id, and a person who says yes at every page."""

import contextlib
import html
import http.cookiejar
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CARNET_BIN", str(ROOT / "target/debug/carnet"))
START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Broker:
    """The server, what it wrote into dev.json, and requests to it."""

    def __init__(self, *flags: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="carnet-e2e-")
        self._log = open(pathlib.Path(self._folder.name) / "log", "w+")
        data = pathlib.Path(self._folder.name) / "data"
        port = free_port()
        words = [BINARY, "dev", "--data", str(data), "--port", str(port), "--no-open", *flags]
        environment = {"PATH": os.environ["PATH"], "HOME": self._folder.name}
        self._process = subprocess.Popen(
            words, cwd=self._folder.name, env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        self._wait(port, data / "dev.json")
        self.dev = json.loads((data / "dev.json").read_text())
        self.url: str = self.dev["url"]

    def _wait(self, port: int, written: pathlib.Path) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if written.exists() and urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").status == 200:
                    return
            if self._process.poll() is not None or time.monotonic() > end:
                self._log.seek(0)
                log = self._log.read()
                self.stop()
                raise RuntimeError(f"carnet dev does not start:\n{log}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        self._folder.cleanup()

    def last_issue(self) -> int:
        """The place in the audit log of the newest token."""
        headers = {"authorization": f"Bearer {self.dev['accessToken']}"}
        request = urllib.request.Request(f"{self.url}/v1/audit?action=token.issue&limit=1", headers=headers)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["events"][0]["seq"]

    def at_the_provider(self, token: str) -> tuple[int, dict]:
        """Who the demo provider says this token is."""
        request = urllib.request.Request(f"{self.url}/demo/api/me", headers={"authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, {}


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def consent(url: str, until: str, code: str = "") -> str:
    """Walks from a consent request to the address that begins with ``until``, saying yes; returns that address.

    At a page that asks for a code it enters ``code``.
    """
    jar = http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=["127.0.0.1"]))
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar), _Stay())
    data = None
    for _ in range(20):
        origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))
        headers = {"sec-fetch-site": "same-origin", "origin": origin} if data else {"sec-fetch-site": "none"}
        try:
            answer = browser.open(urllib.request.Request(url, data, headers | {"accept": "text/html"}))
        except urllib.error.HTTPError as other:
            answer = other
        text = answer.read().decode()
        data = None
        onward = answer.headers.get("location") or re.search(r'http-equiv="refresh" content="\d+;\s*url=([^"]*)"', text)
        if onward:
            url = urllib.parse.urljoin(url, onward if isinstance(onward, str) else html.unescape(onward[1]))
            if url.startswith(until):
                return url
            continue
        if until == "(the end)" and "is connected to" in text:
            return url
        form = re.search(r'<form\b[^>]*action="([^"]*)"[^>]*>(.*?)</form>', text, re.S)
        if answer.status != 200 or not form:
            raise AssertionError(f"consent stops at {url}: {answer.status}\n{text}")
        fields = {}
        for tag in re.findall(r"<input\b[^>]*>", form[2]):
            name, value = (re.search(rf'\s{key}="([^"]*)"', tag) for key in ("name", "value"))
            if name and (" checked" in tag or name[1] not in fields):
                fields[name[1]] = html.unescape(value[1]) if value else ""
        url = urllib.parse.urljoin(url, html.unescape(form[1]))
        said = {"code": code} if "code" in fields else {"decision": "allow"}
        data = urllib.parse.urlencode(fields | said).encode()
    raise AssertionError(f"consent goes on and on, last at {url}")
