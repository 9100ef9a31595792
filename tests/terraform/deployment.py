"""What Terraform made on the local engines, as its users see it: the outputs, a worker, the `tidegate` tool, the engine's API."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from configuration import TERRAFORM, Directory
from engines import Engines

from local import binaries, processes
from local.lifecycle import APPLICATION, WORKER

BINARIES = binaries.folder()
RUNNING = {"PENDING", "IN_PROGRESS", "POLLING", "PAUSED"}


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 90.0) -> Any:
    """The first truthy value of `condition`; fails naming what was waited for."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}"
        time.sleep(0.25)


class Deployment:
    """`environments/local` of a copy, applied to the engines."""

    def __init__(self, engines: Engines, copy: Path, prefix: str, **variables: str) -> None:
        self.engines, self.copy, self.prefix = engines, copy, prefix
        given = {"endpoint": engines.endpoint, "name_prefix": prefix, **variables}
        self.terraform = Directory(
            copy / TERRAFORM / "environments" / "local", {f"TF_VAR_{name}": value for name, value in given.items()}
        )
        self.terraform.init()
        self.outputs: dict[str, Any] = {}
        self.sfn, self.dynamodb = engines.client("stepfunctions"), engines.client("dynamodb")
        self._workers: list[processes.ProcessIdentity] = []

    def apply(self, *arguments: str) -> float:
        """Applies, reads the outputs, and returns the seconds it took."""
        seconds = self.terraform.apply(*arguments).seconds
        self.outputs = self.terraform.outputs()
        return seconds

    def apply_planned(self) -> float:
        """Applies the plan that `terraform.planned()` has made."""
        seconds = self.terraform.apply_plan().seconds
        self.outputs = self.terraform.outputs()
        return seconds

    @property
    def environment(self) -> dict[str, str]:
        """The engines' addresses, and over them what Terraform put out for the tool and the worker."""
        return {**self.engines.environment, **self.outputs["env"]}

    # -- the worker --

    def start_worker(self) -> None:
        address = f"127.0.0.1:{processes.free_port()}"
        log = self.log(len(self._workers) + 1)
        environment = {"PATH": os.environ["PATH"], **self.environment, **self.outputs["worker_env"], "TIDEGATE_HEALTH_ADDR": address,
                       "TIDEGATE_TAG_JOBS": "true", APPLICATION: WORKER}  # fmt: skip
        process = processes.spawn([str(BINARIES / "tidegate-worker"), "run"], environment, log, die_with_parent=True)
        self._workers.append(processes.identify(process))

        def healthy() -> bool:
            try:
                with urllib.request.urlopen(f"http://{address}/healthz", timeout=2) as answer:
                    return bool(answer.status == 200)
            except OSError:
                return False

        processes.wait_ready("worker", process, healthy, 60.0, log)

    def stop_workers(self) -> None:
        processes.stop(self._workers, 3.0)

    def log(self, number: int) -> Path:
        return self.copy / "logs" / f"worker-{number}.log"

    # -- the tool --

    def tidegate(
        self, *arguments: str, ok: tuple[int, ...] = (0,), person: dict[str, str] | None = None, told: bool = False
    ) -> str:
        """Runs the tool, with the credentials of a `person` who is held to a policy, or with those that may do anything."""
        done = subprocess.run(
            [str(BINARIES / "tidegate"), *arguments],
            env={"PATH": os.environ["PATH"], "NO_COLOR": "1", "USER": "terraform-test", **self.environment, **(person or {})},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert done.returncode in ok, f"tidegate {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip() + (done.stderr if told else "")

    def person(self, operator: str) -> dict[str, str]:
        """Credentials of a new user with the policy that Terraform made for this task; the engine holds users to theirs."""
        iam = self.engines.client("iam")
        iam.create_user(UserName=operator)
        iam.attach_user_policy(UserName=operator, PolicyArn=self.outputs["operator_policy_arns"][operator])
        key = iam.create_access_key(UserName=operator)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def leave(self, operator: str) -> None:
        """Takes the user away, so that Terraform can destroy the policy."""
        iam = self.engines.client("iam")
        iam.detach_user_policy(UserName=operator, PolicyArn=self.outputs["operator_policy_arns"][operator])
        for key in iam.list_access_keys(UserName=operator)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=operator, AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName=operator)

    def record(self, name: str) -> dict[str, Any] | None:
        """The execution's record as `tidegate show` tells it; None while there is none."""
        shown = self.tidegate("show", name, "--json", ok=(0, 1))
        return dict(json.loads(shown).get("record") or {}) if shown else None

    def wait_status(self, name: str, *wanted: str) -> dict[str, Any]:
        """The record once its status is one of these; fails at once when it has ended with another."""

        def met() -> dict[str, Any] | None:
            record = self.record(name)
            if not record or (record["status"] not in wanted and record["status"] in RUNNING):
                return None
            assert record["status"] in wanted, f"{name} ended {record['status']}: {record.get('outcome')}"
            return record

        return dict(wait_for(met, f"{name} to be {' or '.join(wanted)}"))

    # -- the engine's API --

    def machine_arn(self, name: str = "recovery") -> str:
        return str(self.outputs["state_machine_arns"][name])

    def definition(self, name: str = "recovery", version: int | None = None) -> str:
        """The newest definition, or that of a published version."""
        arn = self.machine_arn(name) + (f":{version}" if version else "")
        return str(self.sfn.describe_state_machine(stateMachineArn=arn)["definition"])

    def states_entered(self, execution: str) -> list[str]:
        """The states an execution went through: what it really ran, whatever anybody says its definition is."""
        pages = self.sfn.get_paginator("get_execution_history").paginate(executionArn=self.execution_arn(execution))
        events = (event for page in pages for event in page["events"])
        return [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]

    def execution_arn(self, name: str) -> str:
        return f"{self.machine_arn().replace(':stateMachine:', ':execution:')}:{name}"

    def execution(self, name: str) -> dict[str, Any]:
        return dict(self.sfn.describe_execution(executionArn=self.execution_arn(name)))

    def routed_version(self, name: str = "recovery") -> int:
        """The version that the alias sends new executions to."""
        alias = self.sfn.describe_state_machine_alias(stateMachineAliasArn=self.outputs["state_machine_alias_arns"][name])
        routes = alias["routingConfiguration"]
        assert [route["weight"] for route in routes] == [100], routes
        return int(routes[0]["stateMachineVersionArn"].rpartition(":")[2])

    def locks(self, execution: str) -> list[str]:
        table = self.outputs["table_names"]["serverLocks"]
        items = self.dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
        return [item["server"]["S"] for item in items if item["executionId"]["S"] == execution]
