"""Makes what the contract names: tables, activities, state machines and the rules that start them, under a prefix, in
whatever the environment points at (`AWS_ENDPOINT_URL_*`). Called by `stack.py`; alone: `python local/deploy.py --prefix
tidegate-local`.

Running it again changes only what differs. `render`, `event_pattern` and `resource_names` are pure, so that a test can
compare them with what Terraform makes of the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import boto3
from botocore.config import Config

DEFAULT_CONTRACT = Path("statemachine/contract/contract.json")
DEFAULT_PLANS = Path("statemachine/inputs/plans")
PROTECTION_GROUPS = Path("statemachine/inputs/protection-groups")
DEFAULT_PREFIX = "tidegate-local"
BUS_POLICY = Path("terraform/modules/event-bus/policies/bus.json.tftpl")
MAIN_STATE_MACHINE = "recovery"
RECONCILE_STATE_MACHINE = "reconcile"

Contract = dict[str, Any]


class DeployError(Exception):
    """What is wrong with the contract or in the way of a resource, in one line."""


# ----- pure: names and definitions ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResourceNames:
    tables: dict[str, str]  # contract key -> name
    activities: dict[str, str]  # contract name -> name
    state_machines: dict[str, str]  # contract name -> name
    rules: dict[str, str]  # contract name -> name


def resource_names(contract: Contract, prefix: str) -> ResourceNames:
    return ResourceNames(
        tables={table["key"]: f"{prefix}-{table['name']}" for table in contract["tables"]},
        activities={activity["name"]: f"{prefix}-{activity['name']}" for activity in contract["activities"]},
        state_machines={machine["name"]: f"{prefix}-{machine['name']}" for machine in contract["stateMachines"]},
        rules={rule["name"]: f"{prefix}-{rule['name']}" for rule in contract.get("rules", [])},
    )


def placeholder_values(contract: Contract, prefix: str, activity_arns: Mapping[str, str]) -> dict[str, str]:
    """What each `${Placeholder}` of a definition stands for."""
    names = resource_names(contract, prefix)
    # A machine's definition may name the other one, so its ARN is told before it is there.
    home = next(iter(activity_arns.values()), "").split(":activity:")[0]
    named = {placeholder for machine in contract["stateMachines"] for placeholder in machine.get("placeholders", ())}
    machines = [machine for machine in contract["stateMachines"] if machine.get("placeholder") in named]
    return {
        "EventBusName": prefix,
        "Partition": "aws",
        **{activity["placeholder"]: activity_arns[activity["name"]] for activity in contract["activities"]},
        **{table["placeholder"]: names.tables[table["key"]] for table in contract["tables"]},
        **{one["placeholder"]: f"{home}:stateMachine:{names.state_machines[one['name']]}" for one in machines},
    }


# As Terraform's templatefile reads it: `$${` is a literal `${`, and `%{` would begin a directive.
_PLACEHOLDER = re.compile(r"(\$?)\$\{([^}]*)\}")


def render(definition_text: str, values: Mapping[str, str]) -> str:
    """The definition with every placeholder filled in; an unknown one is an error that names it."""
    if "%{" in definition_text:
        raise DeployError("the definition holds `%{`, which templatefile would take for a directive")
    unknown: list[str] = []

    def fill(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped:
            return "${" + name + "}"
        if name not in values:
            unknown.append(name)
        return values.get(name, "")

    rendered = _PLACEHOLDER.sub(fill, definition_text)
    if unknown:
        raise DeployError(f"unknown placeholder {', '.join('${' + name + '}' for name in sorted(set(unknown)))}")
    try:
        json.loads(rendered)
    except ValueError as error:
        raise DeployError(f"the rendered definition is not JSON: {error}") from error
    return rendered


def event_pattern(rule: Mapping[str, Any], contract: Contract, machine_arns: Mapping[str, str]) -> dict[str, Any]:
    """A rule's pattern, with the machines' ARNs in place of their placeholders."""
    arns = {machine["placeholder"]: machine_arns[machine["name"]] for machine in contract["stateMachines"]}
    return dict(json.loads(render(json.dumps(rule["eventPattern"]), arns)))


def load_contract(path: Path) -> Contract:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise DeployError(f"cannot read the contract {path}: {error}") from error


# ----- AWS ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deployed:
    """The names and ARNs everything else is told."""

    state_machine_arn: str
    reconcile_arn: str
    state_machine_arns: dict[str, str]
    activity_arns: dict[str, str]
    tables: dict[str, str]


class Deployer:
    """Takes region, credentials and endpoints from `environment`, or from the process's own when none is given."""

    def __init__(self, contract_path: Path, prefix: str, environment: Mapping[str, str] | None = None) -> None:
        self.contract = load_contract(contract_path)
        self.definitions = contract_path.resolve().parent.parent
        self.prefix = prefix
        self.names = resource_names(self.contract, prefix)
        self._environment = environment
        self._dynamodb, self._sfn = self._client("dynamodb", "DYNAMODB"), self._client("stepfunctions", "SFN")
        self._events = self._client("events", "EVENTBRIDGE")

    def _client(self, service: str, variable: str) -> Any:
        # `stack.py` passes the environment in, because the one it runs in is the user's own.
        given = self._environment
        config = Config(retries={"mode": "standard"}, inject_host_prefix=False)
        if given is None:
            return boto3.client(service, config=config)
        return boto3.client(
            service,
            config=config,
            region_name=given["AWS_REGION"],
            endpoint_url=given.get(f"AWS_ENDPOINT_URL_{variable}", given.get("AWS_ENDPOINT_URL")),
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        )

    def deploy(self) -> Deployed:
        for table in self.contract["tables"]:
            self._ensure_table(table)
        activities = {
            # CreateActivity is idempotent by name, so there is nothing to look up first.
            name: str(self._sfn.create_activity(name=full)["activityArn"])
            for name, full in self.names.activities.items()
        }
        values = placeholder_values(self.contract, self.prefix, activities)
        machines = {
            machine["name"]: self._ensure_state_machine(machine, values) for machine in self.contract["stateMachines"]
        }
        self._ensure_bus(machines.values())
        for rule in self.contract.get("rules", []):
            self._ensure_rule(rule, machines)
        return Deployed(
            state_machine_arn=machines.get(MAIN_STATE_MACHINE, ""),
            reconcile_arn=machines.get(RECONCILE_STATE_MACHINE, ""),
            state_machine_arns=machines,
            activity_arns=activities,
            tables=dict(self.names.tables),
        )

    def _ensure_table(self, table: Mapping[str, Any]) -> None:
        name, wanted = self.names.tables[table["key"]], _layout(table)
        try:
            found = self._dynamodb.describe_table(TableName=name)["Table"]
        except self._dynamodb.exceptions.ResourceNotFoundException:
            self._dynamodb.create_table(
                TableName=name, BillingMode="PAY_PER_REQUEST", SSESpecification={"Enabled": True}, **wanted
            )
            self._dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        else:
            if _keys(found) != _keys(wanted):
                raise DeployError(f"table {name} exists with other keys or indexes than the contract; remove it first")
        self._dynamodb.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        if table.get("ttlAttribute"):
            self._ensure_ttl(name, table["ttlAttribute"])

    def _ensure_ttl(self, table: str, attribute: str) -> None:
        # Enabling what is enabled is a ValidationException.
        current = self._dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        if current.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
            self._dynamodb.update_time_to_live(
                TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": attribute}
            )

    def _ensure_state_machine(self, machine: Mapping[str, Any], values: Mapping[str, str]) -> str:
        path = self.definitions / machine["definition"]
        try:
            definition = render(path.read_text(), values)
        except OSError as error:
            raise DeployError(f"cannot read the definition of {machine['name']}: {error}") from error
        except DeployError as error:
            raise DeployError(f"{path.name}: {error}") from error
        name = self.names.state_machines[machine["name"]]
        for existing in self._state_machines():
            if existing["name"] == name:
                arn = str(existing["stateMachineArn"])
                if self._sfn.describe_state_machine(stateMachineArn=arn)["definition"] != definition:
                    self._sfn.update_state_machine(stateMachineArn=arn, definition=definition)
                return arn
        role = f"arn:aws:iam::{self._account(values)}:role/{name}-machine"
        return str(self._sfn.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"])

    def _ensure_bus(self, machine_arns: Iterable[str]) -> None:
        """The bus of the machines' own events, and its policy: nobody else puts any on it (modules/event-bus)."""
        try:
            bus = str(self._events.describe_event_bus(Name=self.prefix)["Arn"])
        except self._events.exceptions.ResourceNotFoundException:
            bus = str(self._events.create_event_bus(Name=self.prefix)["EventBusArn"])
        roles = [self._sfn.describe_state_machine(stateMachineArn=arn)["roleArn"] for arn in machine_arns]
        template = (self.definitions.parent / BUS_POLICY).read_text()
        policy = template.replace("${bus_arn}", bus).replace("${jsonencode(machine_role_arns)}", json.dumps(sorted(roles)))
        self._events.put_permission(EventBusName=self.prefix, Policy=json.dumps(json.loads(policy)))

    def _ensure_rule(self, rule: Mapping[str, Any], machine_arns: Mapping[str, str]) -> None:
        """The rule, on, and its one target: a machine that gets the event as it is."""
        name, pattern = self.names.rules[rule["name"]], event_pattern(rule, self.contract, machine_arns)
        try:
            found = self._events.describe_rule(Name=name)
        except self._events.exceptions.ResourceNotFoundException:
            found = {}
        if json.loads(found.get("EventPattern", "null")) != pattern or found.get("State") != "ENABLED":
            self._events.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")
        arn = machine_arns[rule["starts"]]
        role = f"arn:aws:iam::{arn.split(':')[4]}:role/{name}-rule"
        target = {"Id": rule["starts"], "Arn": arn, "RoleArn": role}
        if target not in self._events.list_targets_by_rule(Rule=name)["Targets"]:
            self._events.put_targets(Rule=name, Targets=[target])

    def _state_machines(self) -> Iterable[dict[str, Any]]:
        for page in self._sfn.get_paginator("list_state_machines").paginate():
            yield from page["stateMachines"]

    def _account(self, values: Mapping[str, str]) -> str:
        arns = [value for value in values.values() if value.startswith("arn:")]
        return arns[0].split(":")[4] if arns else "000000000000"

    # -- plans --

    def load_plans(self, plans: Path, groups: Path) -> int:
        """Put the example plans and protection groups into their tables; how many were new or changed."""
        loads = (("recoveryPlans", plans, "plan"), ("protectionGroups", groups, "group"))
        return sum(
            self._load_document(self.names.tables[key], path, kind)
            for key, folder, kind in loads
            if key in self.names.tables
            for path in sorted(folder.glob("*.json"))
        )

    def _load_document(self, table: str, path: Path, kind: str) -> bool:
        text = path.read_text()
        try:
            document = json.loads(text)
            identifier, name = str(document[f"{kind}Id"]), str(document.get(f"{kind}Name", ""))
        except (ValueError, KeyError, TypeError) as error:
            raise DeployError(f"{path} is not a JSON document with a {kind}Id: {error}") from error
        stored = self._dynamodb.get_item(TableName=table, Key={f"{kind}Id": {"S": identifier}}).get("Item")
        if stored and stored[kind]["S"] == text:
            return False
        self._dynamodb.put_item(
            TableName=table,
            Item={
                f"{kind}Id": {"S": identifier},
                f"{kind}Name": {"S": name},
                kind: {"S": text},
                "version": {"N": str(int(stored["version"]["N"]) + 1 if stored else 1)},
                "updatedAt": {"S": datetime.now(timezone.utc).isoformat(timespec="milliseconds")},
            },
        )
        return True


def _layout(table: Mapping[str, Any]) -> dict[str, Any]:
    """CreateTable's key and index arguments. Every key attribute of the contract is a string."""

    def key_schema(of: Mapping[str, Any]) -> list[dict[str, str]]:
        keys = [{"AttributeName": of["partitionKey"], "KeyType": "HASH"}]
        if of.get("sortKey"):
            keys.append({"AttributeName": of["sortKey"], "KeyType": "RANGE"})
        return keys

    indexes = table.get("indexes") or []
    attributes = {key["AttributeName"] for part in [table, *indexes] for key in key_schema(part)}
    layout: dict[str, Any] = {
        "KeySchema": key_schema(table),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in sorted(attributes)],
    }
    if indexes:
        layout["GlobalSecondaryIndexes"] = [
            {"IndexName": index["name"], "KeySchema": key_schema(index), "Projection": {"ProjectionType": "ALL"}}
            for index in indexes
        ]
    return layout


def _keys(layout: Mapping[str, Any]) -> tuple[Any, ...]:
    indexes = {index["IndexName"]: index["KeySchema"] for index in layout.get("GlobalSecondaryIndexes") or []}
    return layout["KeySchema"], indexes


def main() -> None:
    parser = argparse.ArgumentParser(description="Deploy the contract to where AWS_ENDPOINT_URL points.")
    parser.add_argument("--contract", type=Path, default=DEFAULT_CONTRACT, help="default %(default)s")
    parser.add_argument("--prefix", default=DEFAULT_PREFIX, help="of every resource name, default %(default)s")
    parser.add_argument(
        "--plans", type=Path, default=DEFAULT_PLANS, help="folder of plans to load, default %(default)s"
    )
    options = parser.parse_args()
    if "AWS_ENDPOINT_URL" not in os.environ:
        # Without it the same calls would reach whatever account the shell is logged in to. Terraform deploys that.
        sys.exit("deploy: AWS_ENDPOINT_URL is not set; source .local/env first")
    try:
        deployer = Deployer(options.contract, options.prefix)
        deployed = deployer.deploy()
        deployer.load_plans(options.plans, options.plans.parent / PROTECTION_GROUPS.name)
    except DeployError as error:
        sys.exit(f"deploy: {error}")
    print(json.dumps(asdict(deployed), indent=2))


if __name__ == "__main__":
    main()
