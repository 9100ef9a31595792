"""The local stack without its deployment: what Terraform deploys to, and a look at what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.lifecycle import ACCOUNT, Options, Stack

REGION = "us-west-2"
# As the end-to-end tests: a wave of twenty minutes in about a second.
SPEED, WAIT_SCALE = 1200.0, 0.02

# Service, call, where the list is, where its name is. What a deployment may consist of, as far as the engines know it.
_LISTINGS = (
    ("stepfunctions", "list_state_machines", "stateMachines", "stateMachineArn"),
    ("stepfunctions", "list_activities", "activities", "activityArn"),
    ("dynamodb", "list_tables", "TableNames", ""),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("iam", "list_policies", "Policies", "PolicyName"),
    ("events", "list_rules", "Rules", "Name"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sqs", "list_queues", "QueueUrls", ""),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("ecs", "list_clusters", "clusterArns", ""),
)


class Engines:
    """MiniStack in strict mode and the simulator, on free ports; they die with this process, however that ends."""

    def __init__(self, directory: Path) -> None:
        self.stack = Stack(
            Options(
                dir=directory, ministack_port=0, simulator_port=0, die_with_parent=True, deploy=False,
                speed=SPEED, wait_scale=WAIT_SCALE,
            )
        )  # fmt: skip
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Engines:
        self.environment = self.stack.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.down()

    @property
    def endpoint(self) -> str:
        return self.environment["AWS_ENDPOINT_URL"]

    def client(self, service: str, account: str = ACCOUNT) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL_DRS"] if service == "drs" else self.endpoint,
            region_name=REGION,
            aws_access_key_id=account,
            aws_secret_access_key="local",
            config=Config(retries={"total_max_attempts": 2}, read_timeout=30),
        )

    def inventory(self) -> set[str]:
        """Everything a deployment may consist of that is there now, as `service: name`."""
        found: set[str] = set()
        for service, call, listing, name in _LISTINGS:
            client = self.client(service)
            arguments = {"Scope": "Local"} if call == "list_policies" else {}
            pages = (
                client.get_paginator(call).paginate(**arguments)
                if client.can_paginate(call)
                else [getattr(client, call)(**arguments)]
            )
            for page in pages:
                found |= {f"{service}: {one[name] if name else one}" for one in page.get(listing) or []}
        return found
