"""Nobody who gives a server its name, or writes an error, a plan or an answer, speaks in Tidegate's voice.

The attacker registers source servers (host name, tags), runs on one (the error DRS passes on), wrote a plan or a record before the
schemas refused such names, or answers and stops with a text. No right to Tidegate is needed for the first two. Every text of
foreign-texts.json goes through the tool's screens, on a terminal and in a pipe, the workers' logs, the records and the mails.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from conftest import CHECKOUT
from lab import Json, Lab, wave
from run import Run, Starter

TEXTS: list[Json] = json.loads(Path(__file__).with_name("foreign-texts.json").read_text())["texts"]
# DynamoDB and JSON hold no half of a surrogate pair; none is in the corpus.
CORPUS = [str(entry["text"]) for entry in TEXTS]
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  ")
COLUMNS = 100
# What is drawn as nothing although its category is a letter's or a mark's (Default_Ignorable_Code_Point).
INVISIBLE = "\u034f\u115f\u1160\u3164\uffa0\ufe00\ufe0f\U000e0100"


def deceiving(text: str) -> list[str]:
    """Characters that change how other text is shown, or are not shown."""
    bad = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
    return [f"U+{ord(letter):04X}" for letter in text if unicodedata.category(letter) in bad or letter in INVISIBLE]


def check_screen(text: str, what: str, columns: int | None = None) -> None:
    lines = text.split("\n")
    assert not (found := {letter for line in lines for letter in deceiving(line)}), f"{what} shows {sorted(found)}"
    for line in lines:
        assert not line.startswith("FORGED"), f"{what}: {line}"
        if columns is not None and "FORGED" in line:
            assert len(line) <= columns, f"{what}: the terminal breaks this, and goes on in its first column: {line}"


def tool(lab: Lab, *words: str, width: int | None = None) -> str:
    """What the tool prints, both streams, in a pipe."""
    binary = str(lab.stack.options.bin_dir / "tidegate")
    options = ["--width", str(width)] if width else []
    environment = {**lab.stack.environment(), "PATH": os.environ["PATH"], "USER": "ann"}
    done = subprocess.run([binary, *words, *options], env=environment, capture_output=True, timeout=120, check=False)
    assert done.stdout, done.stderr
    return done.stdout.decode() + done.stderr.decode()


def on_terminal(lab: Lab, *words: str, seconds: float = 60.0) -> str:
    """What stands on a terminal, without the colours and cursor movements that are the tool's own."""
    child, master = pty.fork()
    if child == 0:
        environment = {**lab.stack.environment(), "PATH": os.environ["PATH"], "TERM": "xterm-256color", "USER": "ann"}
        os.execve(str(lab.stack.options.bin_dir / "tidegate"), ["tidegate", *words, "--width", str(COLUMNS)], environment)
    seen, deadline = b"", time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.2)[0]:
                try:
                    chunk = os.read(master, 65536)
                except OSError:  # Linux says EIO once the other side has gone
                    break
                if not chunk:
                    break
                seen += chunk
    finally:
        os.close(master)
        os.waitpid(child, 0)
    text = seen.decode()
    # Own: colours (SGR) and what indicatif moves the cursor with. Nothing else of ESC is left to be found.
    text = re.sub(r"\x1b\[[0-9;]*m|\x1b\[[0-9]*[ABCDGJK]|\x1b\[\?25[lh]", "", text)
    return re.sub(r"\r+", "\n", text.replace("\r\n", "\n"))


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return {}


@pytest.fixture
def ended(lab: Lab, start: Starter, told: dict[str, Any]) -> Run:
    """One execution whose servers carry every text as host name, Name tag and launch error."""
    servers = [
        {"sourceServerId": f"s-{0xF0000 + index:017x}", "hostname": text[:256], "tags": {"Name": text, "evil": "yes"}}
        for index, text in enumerate(CORPUS)
    ]
    if "run" not in told:
        lab.control("POST", "servers", {"region": "us-west-2", "account": "111122223333", "servers": servers})
    ids = [server["sourceServerId"] for server in servers]
    lab.fault(*({"fault": "launchFails", "stage": "launch", "sourceServerId": one, "rawError": text} for one, text in zip(ids, CORPUS)))
    plan = lab.plan(wave({"region": "us-west-2", "tags": {"evil": "yes"}}, onFailure="continue"))
    # Some of the names differ in what is not shown only: they are confirmed, as people would have to.
    namesakes = start(plan).refused("Tidegate.PlanRefused")
    digest = re.search(r"expected.membershipHash ([0-9a-f]{64})", namesakes)
    assert digest, namesakes
    run = start(plan, expected={"membershipHash": digest[1]})
    told["run"], told["watched"] = run, tool(lab, "watch", run.id)
    run.end("FAILED", error="Tidegate.RecoveryFailed")
    return run


def test_no_server_and_no_error_speaks_as_tidegate(lab: Lab, ended: Run, told: dict[str, Any]) -> None:
    check_screen(told["watched"], "watch")
    # In a pipe each of its lines begins with the time, is a cause's (quoted), or the last one's.
    for line in told["watched"].rstrip("\n").split("\n"):
        assert STAMP.match(line) or line.startswith(("  ", "tidegate: ", ended.id)), line
        assert not line.startswith("2026-11-30T19:00:00Z"), line
    for width in (80, 120):
        check_screen(tool(lab, "show", ended.id, width=width), "show", width)
    check_screen(tool(lab, "show", ended.id, "--json"), "show --json")
    check_screen(tool(lab, "list"), "list")
    check_screen(on_terminal(lab, "watch", ended.id), "watch on a terminal", COLUMNS)
    check_screen(on_terminal(lab, "show", ended.id), "show on a terminal", COLUMNS)


def test_logs_and_records_hold_it_spelled_out(lab: Lab, ended: Run) -> None:
    for path in lab.logs():
        if path.name.startswith("worker-"):
            text = path.read_bytes().decode()
            check_screen(text, path.name)
            assert all(json.loads(line) is not None for line in text.splitlines())
    servers = ended.servers().values()
    assert len(servers) == len(CORPUS)
    for server in servers:
        for field in ("serverName", "hostname", "error"):
            assert not deceiving(server[field]), (field, server[field])
    assert any("\\u{a}" in server["error"] for server in servers)
    check_screen(ended.record()["outcome"]["cause"], "the cause")


def test_a_record_of_before_is_shown_and_forges_nothing(lab: Lab, start: Starter) -> None:
    """As an earlier version stored it, or whoever may write records: every name in it is one of the corpus."""
    run = start(lab.fleet())
    record = run.end("COMPLETED")
    # A copy, so that the observer of the tests does not take this for a fault of Tidegate's.
    name = f"copy-of-{run.id}"
    for table, items in (("executionHistory", [lab.read_execution(run.id)]), ("executionWaves", lab.read_waves(run.id))):
        for item in items:
            lab.dynamodb.put_item(TableName=lab.tables[table], Item={**(item or {}), "executionId": {"S": name}})
    key = {"executionId": {"S": name}, "planId": {"S": record["planId"]}}
    for text in CORPUS:
        said = json.dumps({"approvedBy": text, "comment": text})
        lab.dynamodb.update_item(
            TableName=lab.tables["executionHistory"], Key=key,
            UpdateExpression="SET planName = :t, initiatedBy = :t, waves[0].waveName = :t, outcome.cause = :t, "
            "timeline[0].detail = :t, timeline[1].#e = :r, timeline[1].detail = :s",
            ExpressionAttributeNames={"#e": "event"},
            ExpressionAttributeValues={":t": {"S": text}, ":r": {"S": "RESUMED"}, ":s": {"S": said}},
        )  # fmt: skip
        shown = tool(lab, "show", name)
        check_screen(shown, f"show of {text!r}", 120)
        for title in ("  status ", "Report", "Servers", "Timeline (UTC)"):
            assert len([line for line in shown.split("\n") if line.startswith(title)]) == 1, f"{title} of {text!r}:\n{shown}"
        check_screen(tool(lab, "list"), f"list of {text!r}")
        check_screen(tool(lab, "watch", name), f"watch of {text!r}")


def test_what_people_said_is_told_as_said(lab: Lab, start: Starter) -> None:
    """Who typed it is in CloudTrail alone: the tool repeats names as claims."""
    plan = lab.plan(wave(lab.fleet(), pauseBeforeWave=True))
    run = start(plan, initiatedBy='maria" (verified)')
    run.answer({"approvedBy": "maria (forged)", "comment": "go"})
    run.end("COMPLETED")
    shown = " ".join(tool(lab, "show", run.id).split())
    assert r'started by "maria\" (verified)", its input says' in shown, shown
    assert 'by "maria (forged)", it says: go' in shown, shown


@pytest.mark.parametrize("text", ["CRM\n  status    COMPLETED", "CRM\u202e", "a\u200bb", "a\u2028b", "\u3164", "a\x9bb"])
def test_names_of_ours_refuse_it(lab: Lab, start: Starter, text: str) -> None:
    for field, fields in (("planName", {"planName": text}), ("waves[0].waveName", {}), ("initiatedBy", {})):
        plan = {**lab.plan(wave(lab.fleet(), **({"waveName": text} if "waveName" in field else {}))), **fields}
        run = start(plan, **({"initiatedBy": text} if field == "initiatedBy" else {}))
        cause = run.refused("Tidegate.InvalidInput")
        assert f"{field}: holds the character \\u{{" in cause and "Remedy: leave out line breaks" in cause, cause
        assert not deceiving(cause.replace("\n", "")), cause


def test_an_echo_ends_after_two_hundred_characters(lab: Lab, start: Starter) -> None:
    plan = lab.plan(wave({"region": "x" * 100_000, "tags": {"a": "b"}}))
    cause = start(plan).refused("Tidegate.InvalidInput")
    assert len(cause) < 1_000, f"{len(cause)} characters"


def test_mails_take_nothing_that_others_wrote() -> None:
    """EventBridge splices values into the template as they are: only ids, numbers, statuses and the machine's own reasons."""
    source = (CHECKOUT / "terraform" / "modules" / "notifications" / "main.tf").read_text()
    spliced = set(re.findall(r'= "(\$\.detail\.[\w.]+)"', source))
    ours = {"executionId", "planId", "executionType", "waveNumber", "reason", "name", "status", "error"}
    assert spliced and spliced <= {f"$.detail.{field}" for field in ours}, spliced
