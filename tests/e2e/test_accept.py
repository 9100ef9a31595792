"""`tidegate accept` on the local stack: what it reports as assumed, what as different, and that it never calls an answer it
did not get a good one."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from lab import Fleet, Json, Lab, wait_for

from local.lifecycle import ACCOUNT

ENVIRONMENT = "local"  # of the prefix tidegate-local
PAGE = Path(__file__).resolve().parents[2] / "docs" / "semantics.md"

# The readings of the simulator that are not AWS's documented or captured ones.
NAMES_ITS_INSTANCE = {"completedJobHidesRecoveryInstanceId": False}
SPARES_RECOVERIES = {"launchDeletesRecoveryInstances": False}


@dataclass(frozen=True)
class Accepted:
    code: int
    said: str
    report: Json

    def verdicts(self, row: str) -> set[str]:
        """Of the lines that cite a row of docs/semantics.md."""
        return {line["verdict"] for line in self.lines(row)}

    def lines(self, row: str) -> list[Json]:
        found = [line for line in self.report["lines"] if line["place"] == f"docs/semantics.md#{row}"]
        assert found, f"no line cites {row}: {self.said}"
        return found

    def differing(self) -> set[str]:
        return {line["place"].split("#")[1] for line in self.report["lines"] if line["verdict"] == "differs"}


def accept(
    lab: Lab, out: Path, *arguments: str, typed: str | None = None, settings: Mapping[str, str] | None = None
) -> Accepted:
    """Runs it; with `typed`, on a terminal of its own where a person types that."""
    command = [str(lab.stack.options.bin_dir / "tidegate"), "accept", "--environment", ENVIRONMENT, "--plan", "crm"]
    command += ["--out", str(out), *arguments]
    environment = {**lab.stack.environment(), "NO_COLOR": "1", **(settings or {})}
    if typed is None:
        ended = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        return _accepted(ended.returncode, ended.stderr, out)
    ours, theirs = pty.openpty()
    said: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                return
            if not piece:
                return
            said.append(piece)

    with subprocess.Popen(command, env=environment, stdin=theirs, stderr=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            os.write(ours, typed.encode())
            code = process.wait(timeout=180)
        finally:
            process.kill()
    listener.join(timeout=10)
    os.close(ours)
    return _accepted(code, b"".join(said).decode(errors="replace"), out)


def _accepted(code: int, said: str, out: Path) -> Accepted:
    return Accepted(code, said, json.loads(out.read_text()) if out.exists() else {})


@contextmanager
def quirks(lab: Lab, **on: bool) -> Iterator[None]:
    lab.control("POST", "scenario", {"quirks": on})
    try:
        yield
    finally:
        lab.control("POST", "scenario", {})


@contextmanager
def worker_role(lab: Lab, *denied: Json) -> Iterator[None]:
    """A role that may do everything but what is denied."""
    iam, name = lab.client("iam"), "tidegate-local-worker-task"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    statements = [{"Effect": "Allow", "Action": "*", "Resource": "*"}, *({"Effect": "Deny", **one} for one in denied)]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="all")
        iam.delete_role(RoleName=name)


def test_the_first_day_on_the_local_stack(lab: Lab, tmp_path: Path) -> None:
    """What the local stack can answer is as assumed, and what it cannot is not answered: never passed."""
    launched = lab.control("GET", "calls")["mutating"]
    done = accept(lab, tmp_path / "report.json", "--yes")
    assert lab.control("GET", "calls")["mutating"] == launched, "without a throw-away server nothing is launched"
    assert done.code == 1 and not done.differing(), done.said
    for row in ("sfn-machine-runs", "sfn-declined-null", "sfn-declined-ends", "sfn-hand-over"):
        assert done.verdicts(row) == {"asAssumed"}, done.said
    assert len(done.lines("sfn-declined-null")) == 3
    for line in done.lines("sfn-definitions"):
        # There is no pause watch here; of the others this engine has looked at the transitions only, and says so.
        wanted = ("notAnswered", "StateMachineDoesNotExist") if "pause-watch" in line["check"] else ("asAssumed", "transitions")
        assert line["verdict"] == wanted[0] and wanted[1] in line["observed"], line
    assert done.verdicts("iam-rights") == {"notAnswered"}
    assert all("NoSuchEntity" in one["observed"] for one in done.lines("iam-rights"))
    assert done.verdicts("events-foreign-denied") == {"asAssumed"}
    assert done.verdicts("events-to-topic") == {"notAnswered"}, "there is no queue of undelivered events here"
    assert done.verdicts("drs-drill-deletes") == {"notAsked"}
    report = done.report
    assert (report["environment"], report["accountId"], report["planId"]) == (ENVIRONMENT, ACCOUNT, "crm")
    assert report["ended"] >= report["begun"] and "throwAwayServer" in report
    page = PAGE.read_text()
    for line in report["lines"]:
        assert f'<a id="{line["place"].split("#")[1]}"></a>' in page, line


def test_a_right_that_is_missing_is_told(lab: Lab, tmp_path: Path) -> None:
    """The review's finding: GetItem was granted on three tables and not on the locks, so no drill could be cleaned up."""
    with worker_role(lab):
        done = accept(lab, tmp_path / "all.json", "--yes")
        workers = next(one for one in done.lines("iam-rights") if "workers" in one["check"])
        assert workers["verdict"] == "asAssumed", workers
    locks = f"arn:aws:dynamodb:*:*:table/{lab.tables['serverLocks']}"
    with worker_role(lab, {"Action": "dynamodb:GetItem", "Resource": locks}):
        done = accept(lab, tmp_path / "some.json", "--yes")
        workers = next(one for one in done.lines("iam-rights") if "workers" in one["check"])
        assert workers["verdict"] == "differs", workers
        assert f"dynamodb:GetItem on arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/{lab.tables['serverLocks']}" in workers["observed"]
        assert "PutItem" not in workers["observed"]


def thrown_away(lab: Lab, out: Path, server: Fleet) -> Accepted:
    """Typed as a person would: yes, and the server's id."""
    return accept(lab, out, "--throw-away-server", server.ids[0], typed=f"yes\n{server.ids[0]}\n")


def test_a_throw_away_server_is_launched_three_times_and_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    server = lab.fleet()
    done = thrown_away(lab, tmp_path / "report.json", server)
    assert not done.differing(), done.said
    for row in ("drs-job-listed", "drs-job-status", "drs-launch-status", "drs-launch-end", "drs-job-hides-instance"):
        assert [one["verdict"] for one in done.lines(row)] == ["asAssumed"] * 3, done.said
    for row in ("drs-recovery-deletes", "drs-drill-deletes", "drs-terminated-vanishes", "drs-terminate-gone"):
        assert done.verdicts(row) == {"asAssumed"}, done.said
    kinds = [job["initiatedBy"] for job in lab.jobs(server)]
    assert sorted(kinds) == ["START_DRILL", "START_DRILL", "START_RECOVERY"]
    assert not lab.recovery_instances(server)
    assert done.report["throwAwayServer"] == server.ids[0]


def test_what_a_drill_deletes_is_told(lab: Lab, tmp_path: Path) -> None:
    """Two readings of AWS turned into the others: both are reported with their places, and nothing else is."""
    server = lab.fleet()
    with quirks(lab, **NAMES_ITS_INSTANCE, **SPARES_RECOVERIES):
        done = thrown_away(lab, tmp_path / "report.json", server)
    assert done.differing() == {"drs-drill-deletes", "drs-job-hides-instance"}, done.said
    (deleted,) = done.lines("drs-drill-deletes")
    assert "running, listed by DRS" in deleted["observed"] and "DIFFERS" in done.said
    assert len([one for one in done.lines("drs-job-hides-instance") if one["verdict"] == "differs"]) == 3
    assert not lab.recovery_instances(server), "what survived is terminated all the same"


@pytest.mark.parametrize(
    ("typed", "arguments", "said"),
    [
        pytest.param(None, [], "--yes", id="nobody to ask"),
        pytest.param("no\n", [], "not confirmed", id="declined"),
        pytest.param(None, ["--yes", "--throw-away-server"], "typed", id="an id is typed on a terminal only"),
        pytest.param("yes\nyes\n", ["--throw-away-server"], "not confirmed", id="yes is not the server's id"),
    ],
)
def test_nothing_begins_unasked(lab: Lab, tmp_path: Path, typed: str | None, arguments: list[str], said: str) -> None:
    server, calls = lab.fleet(), lab.mutating_calls()
    if arguments[-1:] == ["--throw-away-server"]:
        arguments = [*arguments, server.ids[0]]
    done = accept(lab, tmp_path / "report.json", *arguments, typed=typed)
    assert done.code == 1 and said in done.said, done.said
    assert not done.report and lab.mutating_calls() == calls


def test_a_server_somebody_may_need_is_not_thrown_away(lab: Lab, tmp_path: Path) -> None:
    """An instance that runs may be what serves production; a server nobody knows is a slip of the pen."""
    server = lab.fleet()
    drs = lab.client("drs")
    drs.start_recovery(isDrill=False, sourceServers=[{"sourceServerID": server.ids[0]}])
    instances = list(wait_for(lambda: lab.recovery_instances(server), "the recovery instance"))
    wait_for(lambda: all(job["status"] == "COMPLETED" for job in lab.jobs(server)), "the end of its job")
    done = thrown_away(lab, tmp_path / "report.json", server)
    assert done.code == 1 and f"recovery instance {instances[0]}" in done.said, done.said
    done = accept(lab, tmp_path / "other.json", "--throw-away-server", "s-00000000000000000", "--yes")
    assert done.code == 1 and "no such source server" in done.said
    assert not done.report and list(lab.recovery_instances(server)) == instances
    drs.disconnect_recovery_instance(recoveryInstanceID=instances[0])
    drs.delete_recovery_instance(recoveryInstanceID=instances[0])
    assert not lab.recovery_instances(server)
    done = thrown_away(lab, tmp_path / "forgotten.json", server)
    assert done.code == 1 and f"EC2 runs {instances[0]}" in done.said and not done.report, done.said
    lab.client("ec2").terminate_instances(InstanceIds=instances)


def test_a_shell_set_up_for_another_environment_is_refused(lab: Lab, tmp_path: Path) -> None:
    arn = lab.machine.replace("tidegate-local", "tidegate-prod")
    done = accept(lab, tmp_path / "report.json", "--yes", settings={"TIDEGATE_STATE_MACHINE_ARN": arn})
    assert done.code == 1 and "tidegate-prod-recovery" in done.said and not done.report, done.said
