"""The local tools answer programs on this computer: no web page in a developer's browser, nobody on the network, no other user.

The attacker is a page open in the browser (it may send simple requests to loopback, and with a name of its own that resolves to
127.0.0.1 read the answers), a neighbour on the network, or another user of the computer. The requests are those a browser sends.
"""

from __future__ import annotations

import http.client
import json
import re
import stat
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import CHECKOUT
from lab import Lab

from local import binaries, state

FAULT = json.dumps({"fault": "launchFails", "sourceServerId": "s-00000000000000001"})
JSON = {"content-type": "application/json"}
PAGES = [
    pytest.param({"Origin": "https://evil.example", "content-type": "text/plain"}, id="a simple request"),
    pytest.param({"Origin": "https://evil.example", **JSON}, id="JSON from elsewhere"),
    pytest.param({"Origin": "null", **JSON}, id="a sandboxed frame"),
    pytest.param({"Host": "evil.example", **JSON}, id="a name that resolves to loopback"),
    pytest.param({"Host": "127.0.0.1.evil.example:4590", **JSON}, id="a name that looks like loopback"),
    pytest.param({"Sec-Fetch-Site": "cross-site", **JSON}, id="a form or image"),
    pytest.param({"content-type": "text/plain"}, id="without a word of where it is from"),
]


def ask(url: str, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, dict[str, str], str]:
    at = urlsplit(url)
    connection = http.client.HTTPConnection(str(at.hostname), int(at.port or 80), timeout=30)
    try:
        connection.request(method, path, body, {"Host": at.netloc, **headers})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("headers", PAGES)
def test_no_page_changes_the_simulator(lab: Lab, headers: dict[str, str]) -> None:
    url = lab.stack.environment()["TIDEGATE_SIMULATOR_URL"]
    before = lab.control("GET", "faults")
    for method, path in (("POST", "faults"), ("POST", "reset"), ("DELETE", "journal")):
        status, answered, text = ask(url, method, f"/_simulator/{path}", headers, FAULT)
        assert status == 403 and json.loads(text)["message"], (method, path, text)
        assert "access-control-allow-origin" not in answered
    assert lab.control("GET", "faults") == before


@pytest.mark.parametrize("headers", PAGES[:-1])
def test_no_page_reads_the_simulator(lab: Lab, headers: dict[str, str]) -> None:
    url = lab.stack.environment()["TIDEGATE_SIMULATOR_URL"]
    assert ask(url, "GET", "/_simulator/state", headers)[0] == 403
    # DRS's own calls too: with a name of its own a page sends any header.
    assert ask(url, "POST", "/DescribeSourceServers", headers, "{}")[0] == 403


@pytest.mark.parametrize("headers", PAGES[:-1])
def test_no_page_reads_or_resets_the_engine(lab: Lab, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/_ministack/reset"), ("POST", "/_ministack/config"), ("OPTIONS", "/"), ("GET", "/")):
        status, answered, text = ask(lab.endpoint, method, path, headers, "{}")
        assert status == 403 and "access-control-allow-origin" not in answered, (method, path, text)
    assert lab.locks() == {} or lab.locks(), "the tables are still there"


def test_programs_are_answered(lab: Lab) -> None:
    url = lab.stack.environment()["TIDEGATE_SIMULATOR_URL"]
    port = urlsplit(url).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
        assert ask(url, "GET", "/_simulator/health", {"Host": host})[0] == 200
    assert ask(url, "POST", "/_simulator/native-executions", JSON, "[]")[0] == 200
    assert ask(lab.endpoint, "GET", "/_ministack/health", {})[0] == 200


def test_nobody_listens_beyond_loopback_unasked(tmp_path: Path) -> None:
    binary = str(binaries.folder() / "tidegate-simulator")
    argv = [binary, "--listen", "0.0.0.0:0", "--instances", "memory"]
    refused = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1 and "--expose" in refused.stderr and not refused.stdout, refused.stderr
    log = tmp_path / "log"
    with log.open("w") as errors, subprocess.Popen([*argv, "--expose"], stdout=subprocess.PIPE, stderr=errors, text=True) as exposed:
        try:
            assert exposed.stdout is not None
            port = urlsplit(json.loads(exposed.stdout.readline())["listening"]).port
            assert "EXPOSED" in log.read_text()
            url = f"http://127.0.0.1:{port}"
            assert ask(url, "GET", "/_simulator/health", {"Host": f"10.0.0.7:{port}"})[0] == 200
            assert ask(url, "GET", "/_simulator/health", {"Host": f"evil.example:{port}"})[0] == 403
        finally:
            exposed.terminate()


def test_what_the_stack_writes_is_for_its_owner(lab: Lab, tmp_path: Path) -> None:
    folder = lab.stack.options.dir
    for path in (folder / "env", folder / "stack.json", *(folder / "logs").glob("*.log")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    made = tmp_path / ".local"
    made.mkdir(mode=0o755)
    state.private_folder(made)
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    state.private_folder(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_no_token_stands_in_an_argument() -> None:
    """`ps` shows arguments to everybody. What the tool and the docs print takes the token from a pipe."""
    shown = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md")), *sorted((CHECKOUT / "terraform").rglob("README.md"))]
    shown += [CHECKOUT / "cli" / "src" / "render" / "gate.rs"]
    uses = 0
    for path in shown:
        for line in re.findall(r"--task-token[ =](\S+)", path.read_text()):
            uses += 1
            assert line.strip("`'\"\\") == "file:///dev/stdin", f"{path.relative_to(CHECKOUT)}: --task-token {line}"
        # aws/aws-cli issue 5982: it reads the file twice, and a pipe is empty by then.
        assert "cli-input-json file:///dev/stdin" not in path.read_text(), path
    assert uses >= 5, uses
