"""`environments/prod` as a platform engineer applies it, to the local engines: first without an image, then with one.

What the engines lack is turned off (autoscaling, saved queries), everything else is on, key and endpoints too, so that every
policy and every definition this code can make is rendered once by the real provider.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from configuration import CHECKOUT, TERRAFORM, Directory, managed_resources
from engines import REGION, Engines

from local.lifecycle import ACCOUNT

DIGEST = "sha256:" + "0123456789abcdef" * 4
IDENTITY = re.compile(r"\baws_iam_(role_policy|policy)\.")
TARGET_ACCOUNT = "444455556666"
TARGET_ROLE = f"arn:aws:iam::{TARGET_ACCOUNT}:role/tidegate-prod-target"
EXTERNAL_ID = "c0ffee00-1234-5678-9abc-def012345678"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
TARGET_KEY = KEY.replace(ACCOUNT, TARGET_ACCOUNT)
OPERATORS = {one["name"] for one in json.loads((CHECKOUT / "statemachine" / "contract" / "contract.json").read_text())["operators"]}
AUTOMATION_ROLE = f"arn:aws:iam::{ACCOUNT}:role/after-launch"
ADDITIONAL = f"arn:aws:iam::{ACCOUNT}:policy/create-image"
# Those the end-to-end tests recover into.
RECOVERY_REGIONS = (REGION, "us-east-2", "eu-west-1")

_SERVICES = ("cloudwatch", "dynamodb", "ec2", "ecr", "ecs", "events", "iam", "kms", "logs", "sfn", "sns", "sqs", "ssm", "sts")

_OVERRIDE = """
terraform {
  backend "local" {}
}

provider "aws" {
  access_key             = "%(account)s"
  secret_key             = "local"
  skip_region_validation = true

  endpoints {
%(endpoints)s
  }
}

module "tidegate" {
  query_definitions_enabled = false

  workers = {
    image            = var.worker_image
    vpc_id           = var.vpc_id
    subnet_ids       = var.subnet_ids
    desired_count    = 2
    cpu              = 1024
    memory           = 2048
    # The engines count no running tasks.
    wait_for_steady_state = false
  }

  vpc_endpoints = {
    route_table_ids = ["%(route_table)s"]
  }
}
"""

# A target account's role is applied alone, in that account.
_TARGET = """
provider "aws" {
  region     = "%(region)s"
  access_key = "%(target)s"
  secret_key = "local"

  endpoints {
%(endpoints)s
  }
}

module "target" {
  source           = "../../modules/target-account-role"
  name_prefix      = "tidegate-prod"
  worker_role_arn  = "%(worker_role)s"
  external_id      = "%(external_id)s"
  recovery_regions = %(regions)s
  volume_key_arns  = ["%(key)s"]

  automation_role_arns       = ["%(automation)s"]
  additional_worker_policies = { create-image = "%(additional)s" }
}

output "role_arn" {
  value = module.target.role_arn
}
"""


class Production:
    """prod and one target account, applied."""

    def __init__(self, engines: Engines, copy: Path) -> None:
        self.engines = engines
        environments = copy / TERRAFORM / "environments"
        network = _network(engines)
        for account in (ACCOUNT, TARGET_ACCOUNT):
            _companys_policy(engines, account)
        endpoints = "\n".join(f'    {service} = "{engines.endpoint}"' for service in _SERVICES)
        values = {"account": ACCOUNT, "endpoints": endpoints, "route_table": network["route_table"], "region": REGION}
        self.prod = Directory(environments / "prod", _variables(network))
        (self.prod.path / "tested_override.tf").write_text(_OVERRIDE % values)
        self.prod.run("init", "-no-color", "-input=false")
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/tidegate-prod-worker@{DIGEST}"
        with_image = Directory(self.prod.path, {**self.prod.environment, "TF_VAR_worker_image": image})
        # All of it before any of it is there: what the code wants, and nothing the engines made of it.
        self.plan = with_image.shown_plan()
        self.first = self.prod.apply()
        self.without_image = self.prod.outputs()
        self.prod = with_image
        self.second = self.prod.apply()
        # With what was not known before, such as the key's ARN; and with what the engines made of it.
        self.plan_afterwards = self.prod.shown_plan("-refresh=false")
        self.outputs = self.prod.outputs()

        target = environments / "target"
        target.mkdir()
        shutil.copy(CHECKOUT / TERRAFORM / "modules" / "target-account-role" / "versions.tf", target)
        worker_role = self.outputs["worker"]["task_role_arn"]
        text = _TARGET % {
            **values, "target": TARGET_ACCOUNT, "external_id": EXTERNAL_ID, "worker_role": worker_role, "key": TARGET_KEY,
            "regions": json.dumps(RECOVERY_REGIONS), "automation": AUTOMATION_ROLE.replace(ACCOUNT, TARGET_ACCOUNT),
            "additional": ADDITIONAL.replace(ACCOUNT, TARGET_ACCOUNT),
        }  # fmt: skip
        (target / "main.tf").write_text(text)
        self.target = Directory(target)
        self.target.init()
        self.target_plan = self.target.shown_plan()
        self.target.apply_plan()
        self.resources = self.prod.resources() + self.target.resources()
        self._write_rights()

    def policies(self) -> dict[str, str]:
        """Every policy document of the state by address: of roles, trusts, topics, queues, keys, repositories, endpoints."""
        found: dict[str, str] = {}
        # Endpoint policies the engines do not keep; they are in the plan.
        for resource in managed_resources(self.plan["planned_values"]) + self.resources:
            for attribute in ("policy", "assume_role_policy"):
                text = resource.get("values", {}).get(attribute)
                # The same key is a JSON document of another kind in a few types, such as a repository's lifecycle.
                if isinstance(text, str) and '"Statement"' in text:
                    found[f"{resource['address']}.{attribute}"] = text
        return found

    def identity_policies(self) -> dict[str, str]:
        """Those that say what a role or a person may do; parliament does not know the language of the others."""
        return {address: text for address, text in self.policies().items() if IDENTITY.search(address)}

    def policies_of_role(self, name: str) -> dict[str, str]:
        """The documents of a role, inline and managed, but for those a company brings along."""
        by_arn = {one["arn"]: one for one in self._values("aws_iam_policy")}
        attached = [one for one in self._values("aws_iam_role_policy_attachment") if one["role"] == name]
        managed = [by_arn[one["policy_arn"]] for one in attached if one["policy_arn"] in by_arn]
        found = {one["name"].removeprefix(f"{name}-"): one["policy"] for one in managed}
        return found | {one["name"]: one["policy"] for one in self._values("aws_iam_role_policy") if one["role"] == name}

    def actions_of_role(self, name: str) -> set[str]:
        """The union of the actions that a role's own policies allow."""
        documents = self.policies_of_role(name).values()
        return {action for text in documents for statement in statements(text) for action in listed(statement["Action"])}

    def _values(self, kind: str) -> list[dict[str, Any]]:
        return [one["values"] for one in self.resources if one["type"] == kind]

    def _write_rights(self) -> None:
        """What was rendered, for tests/rights, which evaluates the recorded calls against it after all tests have run."""
        if "TIDEGATE_CALLS" not in os.environ:
            return
        roles = {one["name"]: one for one in self._values("aws_iam_role")}
        (key,) = self._values("aws_kms_key")
        rights = {
            "roles": {
                name: {"arn": role["arn"], "trust": json.loads(role["assume_role_policy"]),
                       "policies": {one: json.loads(text) for one, text in self.policies_of_role(name).items()}}
                for name, role in roles.items()
            },
            "people": {
                one["name"].removeprefix("tidegate-prod-"): json.loads(one["policy"])
                for one in self._values("aws_iam_policy")
                if one["name"].removeprefix("tidegate-prod-") in OPERATORS
            },
            "key": {"arn": key["arn"], "policy": json.loads(key["policy"])},
            # The engines keep no policy of an endpoint.
            "endpoints": {
                one["values"]["service_name"].rpartition(".")[2]: json.loads(one["values"]["policy"])
                for one in managed_resources(self.plan["planned_values"])
                if one["type"] == "aws_vpc_endpoint"
            },
        }  # fmt: skip
        Path(os.environ["TIDEGATE_CALLS"], "rendered.json").write_text(json.dumps(rights, indent=1))

    def definitions(self) -> dict[str, str]:
        machines = (one for one in self.resources if one["type"] == "aws_sfn_state_machine")
        return {one["values"]["name"]: one["values"]["definition"] for one in machines}


def statements(policy: str) -> list[dict[str, Any]]:
    return list(listed(json.loads(policy)["Statement"]))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _variables(network: dict[str, Any]) -> dict[str, str]:
    given = {
        "region": REGION,
        "protected_regions": json.dumps(["us-east-1"]),
        "account_id": ACCOUNT,
        "vpc_id": network["vpc"],
        "subnet_ids": json.dumps(network["subnets"]),
        "target_accounts": json.dumps({TARGET_ACCOUNT: {"role_arn": TARGET_ROLE, "external_id": EXTERNAL_ID}}),
        "recovery_regions": json.dumps(RECOVERY_REGIONS),
        "volume_key_arns": json.dumps([KEY]),
        "automation_role_arns": json.dumps([AUTOMATION_ROLE]),
        "additional_worker_policies": json.dumps({"create-image": ADDITIONAL}),
        "tag_jobs": "true",  # so that every statement is rendered
        "notification_emails": json.dumps(["dr@example.com"]),
        "catalogue_path": str(CHECKOUT / "statemachine" / "inputs"),
    }
    return {f"TF_VAR_{name}": value for name, value in given.items()}


def _companys_policy(engines: Engines, account: str) -> None:
    """What a company's own automation takes, made by itself: ADDITIONAL."""
    statement = {"Sid": "CreateImages", "Effect": "Allow", "Action": "ec2:CreateImage", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    engines.client("iam", account).create_policy(PolicyName="create-image", PolicyDocument=document)


def _network(engines: Engines) -> dict[str, Any]:
    ec2 = engines.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"]["SubnetId"]
        for index, zone in enumerate("ab")
    ]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    return {"vpc": vpc, "subnets": subnets, "route_table": table}
