"""The local stack as a whole: what `up` leaves running, what `down` leaves behind, and what a mishap does to either.

The simulator and the worker are stand-ins here, a few lines of Python under their names: the subject is how the stack
starts, informs, recognises and stops them. The real ones meet it in the end-to-end tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from conftest import CHECKOUT, answers, wait_for

from local import processes
from local.lifecycle import APPLICATION
from local.processes import ProcessIdentity
from local.stack import Options, Stack, StackError
from local.state import DamagedState

CONTRACT = {
    "schemaVersion": 1,
    "activities": [{"name": "poll-wave-v1", "placeholder": "PollWaveV1ActivityArn", "timeoutSeconds": 60}],
    "tables": [
        {
            "key": "executionHistory",
            "name": "execution-history",
            "placeholder": "ExecutionHistoryTableName",
            "partitionKey": "executionId",
            "sortKey": "planId",
            "indexes": [{"name": "StatusIndex", "partitionKey": "status", "sortKey": "startTime"}],
            "ttlAttribute": "expiresAt",
        },
        {"key": "recoveryPlans", "name": "recovery-plans", "placeholder": "Plans", "partitionKey": "planId"},
        {"key": "protectionGroups", "name": "protection-groups", "placeholder": "Groups", "partitionKey": "groupId"},
    ],
    "stateMachines": [{"name": "recovery", "definition": "recovery.asl.json"}],
}
DEFINITION = {
    "StartAt": "PollWave",
    "States": {
        "PollWave": {"Type": "Task", "Resource": "${PollWaveV1ActivityArn}", "HeartbeatSeconds": 30, "End": True}
    },
}

# Serves 200 on every path, after noting in a file what it was told.
STAND_IN = """#!{python}
import http.server, json, os, sys
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *arguments): pass
{address}
with open({told!r} + "." + str(os.getpid()), "w") as told:
    json.dump(dict(argv=sys.argv[1:], env=dict(os.environ)), told)
host, port = address.rsplit(":", 1)
server = http.server.HTTPServer((host, int(port)), Ok)
print(json.dumps(dict(listening="http://" + address)), flush=True)
server.serve_forever()
"""


class Site:
    """A folder with a contract, plans and stand-in binaries, for one stack."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root, root / "bin"
        self.bin.mkdir()
        self.stand_in("tidegate-simulator", 'address = sys.argv[sys.argv.index("--listen") + 1]')
        self.stand_in("tidegate-worker", 'address = os.environ["TIDEGATE_HEALTH_ADDR"]')
        self.write("statemachine/contract/contract.json", CONTRACT)
        self.write("statemachine/recovery.asl.json", DEFINITION)
        self.write("statemachine/inputs/plans/crm.json", {"planId": "crm", "planName": "CRM", "waves": []})
        self.write("statemachine/inputs/protection-groups/db.json", {"groupId": "db", "groupName": "Databases"})
        policy = "terraform/modules/event-bus/policies/bus.json.tftpl"
        self.write(policy, {}).write_text((CHECKOUT / policy).read_text())

    def write(self, name: str, content: Any) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return path

    def stand_in(self, name: str, address: str) -> None:
        path = self.bin / name
        path.write_text(STAND_IN.format(python=sys.executable, address=address, told=str(self.root / f"{name}.told")))
        path.chmod(0o755)

    def told(self, name: str, pid: int) -> dict[str, Any]:
        return dict(json.loads((self.root / f"{name}.told.{pid}").read_text()))

    def options(self, **changes: Any) -> Options:
        values: dict[str, Any] = {
            "dir": self.root / "stack",
            "ministack_port": 0,
            "simulator_port": 0,
            "contract": self.root / "statemachine/contract/contract.json",
            "plans": self.root / "statemachine/inputs/plans",
            "bin_dir": self.bin,
            "die_with_parent": True,
        }
        return Options(**{**values, **changes})

    def command(self, command: str, *arguments: str) -> list[str]:
        argv = [sys.executable, str(CHECKOUT / "local/stack.py"), command, "--dir", str(self.root / "stack")]
        if command == "up":
            options = self.options()
            argv += ["--ministack-port", "0", "--simulator-port", "0", "--contract", str(options.contract)]
            argv += ["--plans", str(options.plans), "--bin-dir", str(options.bin_dir)]
        return [*argv, *arguments]

    def run(self, command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(command, *arguments), capture_output=True, text=True, env={**os.environ, **environment}
        )

    def identities(self) -> dict[str, ProcessIdentity]:
        return {name: member.identity for name, member in Stack(self.options()).status().items()}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    with contextlib.suppress(DamagedState):
        Stack(site.options()).down()


def client(environment: dict[str, str], service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


# ----- the ordinary life --------------------------------------------------------------------------------------------


def test_up_runs_it_all_and_down_leaves_nothing(site: Site) -> None:
    stack = Stack(site.options(workers=2, speed=60, seed=7))
    environment = stack.up()
    running = site.identities()
    assert sorted(running) == ["ministack", "simulator", "worker-1", "worker-2"]

    simulator = site.told("tidegate-simulator", running["simulator"].pid)["argv"]
    assert simulator[simulator.index("--ec2-endpoint") + 1] == environment["AWS_ENDPOINT_URL"]
    assert simulator[simulator.index("--speed") + 1 : simulator.index("--speed") + 4] == ["60", "--seed", "7"]
    assert simulator[simulator.index("--inventory") + 1].endswith("simulator/inventory/crm.json")
    worker = site.told("tidegate-worker", running["worker-1"].pid)
    assert worker["argv"] == ["run"]
    inherited = {"PATH", "LC_CTYPE"}  # Python sets the second one in itself
    passed_on = {name for name in os.environ if name.startswith(("RUST_", "TIDEGATE_"))}
    assert set(worker["env"]) - inherited - passed_on == {*environment, APPLICATION, "TIDEGATE_HEALTH_ADDR"}
    assert environment["AWS_ENDPOINT_URL_DRS"] == environment["TIDEGATE_SIMULATOR_URL"]

    sfn = client(environment, "stepfunctions")
    started = sfn.start_execution(stateMachineArn=environment["TIDEGATE_STATE_MACHINE_ARN"], input="{}")
    activity = json.loads(environment["TIDEGATE_ACTIVITY_ARNS"])["poll-wave-v1"]
    assert activity.endswith(":activity:tidegate-local-poll-wave-v1")
    sfn.send_task_success(taskToken=sfn.get_activity_task(activityArn=activity)["taskToken"], output="{}")
    execution = started["executionArn"]
    wait_for(lambda: sfn.describe_execution(executionArn=execution)["status"] == "SUCCEEDED", "the execution")

    assert stack.down() is True
    assert not [name for name, identity in running.items() if identity.running()]
    assert not answers(environment["AWS_ENDPOINT_URL"] + "/_ministack/health")
    assert sorted(path.name for path in (site.root / "stack").iterdir()) == ["lock", "logs"]
    assert stack.down() is False


def test_a_second_up_is_harmless_and_deploys_what_changed(site: Site) -> None:
    environment = Stack(site.options()).up()
    before = site.identities()
    changed = json.loads(json.dumps(DEFINITION))
    changed["States"]["PollWave"]["Comment"] = "changed"
    site.write("statemachine/recovery.asl.json", changed)
    site.write("statemachine/inputs/plans/crm.json", {"planId": "crm", "planName": "CRM 2", "waves": []})

    lines: list[str] = []
    assert Stack(site.options(), lines.append).up() == environment
    assert site.identities() == before
    assert sum("already running" in line for line in lines) == 3
    assert any("1 plans and groups new or changed" in line for line in lines)
    machine = client(environment, "stepfunctions").describe_state_machine(
        stateMachineArn=environment["TIDEGATE_STATE_MACHINE_ARN"]
    )
    assert json.loads(machine["definition"])["States"]["PollWave"]["Comment"] == "changed"
    plan = client(environment, "dynamodb").get_item(
        TableName="tidegate-local-recovery-plans", Key={"planId": {"S": "crm"}}
    )["Item"]
    assert (plan["version"], plan["planName"]) == ({"N": "2"}, {"S": "CRM 2"})
    assert json.loads(plan["plan"]["S"])["planName"] == "CRM 2"


def test_tables_are_as_the_contract_says(site: Site) -> None:
    environment = Stack(site.options(workers=0, simulator=False)).up()
    dynamodb, name = client(environment, "dynamodb"), "tidegate-local-execution-history"
    table = dynamodb.describe_table(TableName=name)["Table"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["executionId", "planId"]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSEDescription"]["Status"] == "ENABLED"
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "StatusIndex"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["status", "startTime"]
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "expiresAt")
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"

    # The same name with other keys is not something a deploy may paper over.
    other = json.loads(json.dumps(CONTRACT))
    other["tables"][0]["sortKey"] = "waveKey"
    site.write("statemachine/contract/contract.json", other)
    with pytest.raises(StackError, match="tidegate-local-execution-history exists with other keys"):
        Stack(site.options(workers=0, simulator=False)).up()
    assert all(identity.running() for identity in site.identities().values()), "what ran before stays"


def test_the_env_file_makes_boto3_work(site: Site) -> None:
    Stack(site.options(workers=0)).up()
    script = "import boto3; print(*[a['name'] for a in boto3.client('stepfunctions').list_activities()['activities']])"
    # A profile and token of the shell, as an operator has them, must not get in the way.
    shell = {"PATH": os.environ["PATH"], "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "theirs"}
    sourced = subprocess.run(
        ["sh", "-c", f'. "$1" && "{sys.executable}" -c "$2" && env', "sh", str(site.root / "stack/env"), script],
        capture_output=True, text=True, env=shell,
    )  # fmt: skip
    assert sourced.returncode == 0, sourced.stderr
    name, *variables = sourced.stdout.splitlines()
    assert name == "tidegate-local-poll-wave-v1"
    exported = dict(line.split("=", 1) for line in variables)
    assert json.loads(exported["TIDEGATE_TABLES"])["recoveryPlans"] == "tidegate-local-recovery-plans"
    assert "AWS_SESSION_TOKEN" not in exported
    assert site.run("env").stdout == (site.root / "stack/env").read_text()


# ----- mishaps ------------------------------------------------------------------------------------------------------


def test_up_restarts_only_what_died(site: Site) -> None:
    Stack(site.options(workers=2)).up()
    before = site.identities()
    processes.stop([before["worker-2"]], grace_seconds=3)
    assert site.run("status").returncode == 3
    Stack(site.options(workers=2)).up()
    after = site.identities()
    assert after.pop("worker-2") != before.pop("worker-2")
    assert after == before
    assert site.run("status").returncode == 0


def test_a_simulator_that_died_says_what_it_forgot_and_mints_no_id_twice(site: Site) -> None:
    Stack(site.options()).up()
    before = site.identities()
    assert "--life" not in site.told("tidegate-simulator", before["simulator"].pid)["argv"]
    processes.stop([before["simulator"]], grace_seconds=3)
    said: list[str] = []
    Stack(site.options(), report=said.append).up()
    assert any("had died" in line and "DRS no longer lists" in line and "EC2 keeps the instances" in line for line in said)
    argv = site.told("tidegate-simulator", site.identities()["simulator"].pid)["argv"]
    assert int(argv[argv.index("--life") + 1]) > 0
    said.clear()
    Stack(site.options(), report=said.append).up()
    assert not any("had died" in line for line in said), "it is told once"


def test_a_ministack_that_died_comes_back_at_its_address_with_a_fresh_simulator(site: Site) -> None:
    environment = Stack(site.options()).up()
    before = site.identities()
    os.kill(before["ministack"].pid, signal.SIGKILL)
    wait_for(lambda: not before["ministack"].running(), "the death of MiniStack")
    assert Stack(site.options()).up() == environment, "what workers and shells were told stays true"
    after = site.identities()
    assert after["worker-1"] == before["worker-1"]
    # The instances of the old simulator were in the memory of the old MiniStack.
    assert after["simulator"] != before["simulator"]
    assert not before["simulator"].running()
    activities = client(environment, "stepfunctions").list_activities()["activities"]
    assert len(activities) == 1, "deployed again"


@pytest.mark.parametrize("name", ["ministack", "simulator"])
def test_a_taken_port_is_one_clear_line(site: Site, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = site.run("up", f"--{name}-port", str(port))
        assert answer.returncode == 1
        assert answer.stderr == (
            f"stack: port {port} is taken by another program; choose another with --{name}-port or "
            f"TIDEGATE_{name.upper()}_PORT (0 = any free one)\n"
        )
    assert site.run("status").stdout == "nothing is running\n"


def test_ports_may_come_from_the_environment(site: Site) -> None:
    port = processes.free_port()
    argv = [argument for argument in site.command("up", "--no-simulator", "--workers", "0")]
    position = argv.index("--ministack-port")
    del argv[position : position + 2]
    subprocess.run(argv, check=True, env={**os.environ, "TIDEGATE_MINISTACK_PORT": str(port)}, capture_output=True)
    assert answers(f"http://127.0.0.1:{port}/_ministack/health")


def test_a_failed_up_shows_why_and_takes_back_what_it_started(site: Site) -> None:
    (site.bin / "tidegate-worker").write_text("#!/bin/sh\necho the reason it failed\nexit 7\n")
    seen: list[ProcessIdentity] = []

    def watch(line: str) -> None:
        seen.extend(site.identities().values())

    with pytest.raises(StackError, match=r"worker-1 ended with status 7 while starting(.|\n)*the reason it failed"):
        Stack(site.options(), watch).up()
    assert len({identity.pid for identity in seen}) >= 2, "MiniStack and the simulator had been started"
    assert not any(identity.running() for identity in seen)
    assert site.identities() == {}


def test_a_missing_binary_is_named(site: Site) -> None:
    (site.bin / "tidegate-simulator").unlink()
    with pytest.raises(StackError, match="bin/tidegate-simulator is missing; build it with `cargo build`"):
        Stack(site.options()).up()


def test_a_recycled_pid_is_not_killed(site: Site) -> None:
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        recycled = {"pid": bystander.pid, "startTime": "1", "url": "http://127.0.0.1:1"}
        site.write("stack/stack.json", {"options": {}, "processes": {"ministack": recycled}, "environment": {}})
        assert site.run("status").returncode == 3
        assert Stack(site.options()).down() is False
        assert bystander.poll() is None
        assert not (site.root / "stack/stack.json").exists()
    finally:
        bystander.kill()
        bystander.wait()


def test_a_damaged_state_file_is_not_guessed_at(site: Site) -> None:
    site.write("stack/stack.json", {"processes": [1]})
    answer = site.run("down")
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert "stack.json is damaged" in answer.stderr


def end_by_signal(parent: subprocess.Popen[str]) -> None:
    parent.send_signal(signal.SIGTERM)
    assert parent.wait(timeout=20) == 0


def end_by_death(parent: subprocess.Popen[str]) -> None:
    parent.kill()
    parent.wait(timeout=20)


@pytest.mark.parametrize("end", [end_by_signal, end_by_death])
def test_a_stack_in_the_foreground_ends_with_its_process(
    site: Site, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    parent = subprocess.Popen(site.command("up", "--die-with-parent"), stdout=subprocess.PIPE, text=True)
    try:
        assert parent.stdout is not None
        assert any(line.startswith("ready") for line in iter(parent.stdout.readline, ""))
        running = site.identities()
        assert len(running) == 3
        end(parent)
        wait_for(lambda: not any(identity.running() for identity in running.values()), "the end of the stack")
    finally:
        parent.kill()
        parent.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux only")
def test_the_stack_dies_with_the_caller_of_the_command(site: Site) -> None:
    # The caller is a shell, killed without a chance to clean up.
    command = site.command("up", "--die-with-parent")
    caller = subprocess.Popen(["sh", "-c", '"$@"; true', "sh", *command], stdout=subprocess.PIPE, text=True)
    try:
        assert caller.stdout is not None
        assert any(line.startswith("ready") for line in iter(caller.stdout.readline, ""))
        running = site.identities()
        caller.kill()
        wait_for(lambda: not any(identity.running() for identity in running.values()), "the end of the stack")
    finally:
        caller.kill()
        caller.wait()
