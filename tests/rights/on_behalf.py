"""Calls that no test here can record, because AWS makes them with our roles or a person makes them by hand: each with the
source that says it is made. A statement that only these use is listed by `UNRECORDED` in test_rights.py.

The lists of DRS are those of the Service Authorization Reference (dependent actions of StartRecovery and
TerminateRecoveryInstances) and of AWS's managed policies, which test_managed_policies.py compares in full.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from calls import PREFIX, Call

Keys = dict[str, str | list[str]]

SAR = "Service Authorization Reference, DRS: dependent actions"
CONSOLE = "AWSElasticDisasterRecoveryConsoleFullAccess_v2 v7"
LAUNCH = "AWSElasticDisasterRecoveryLaunchActionsPolicy"
TRAIL = "seen in CloudTrail beyond the dependent actions"
GUIDE = "docs/operations.md, by hand"

REGION = "us-west-2"
MANAGED: Keys = {"aws:ResourceTag/AWSElasticDisasterRecoveryManaged": "drs.amazonaws.com"}
INTO: Keys = {"aws:ResourceTag/AWSDRS": "AllowLaunchingIntoThisInstance"}
VIA_DRS: Keys = {"aws:ViaAWSService": "true", "aws:CalledVia": ["drs.amazonaws.com"]}
# Terraform renders the volumes' keys of tests/terraform/production.py.
VOLUME_KEY = "11111111-2222-3333-4444-555555555555"


def calls(rendered: Mapping[str, Any]) -> list[Call]:
    roles = rendered["roles"]
    home = roles[f"{PREFIX}-worker-task"]["arn"].split(":")[4]
    target = roles[f"{PREFIX}-target"]["arn"].split(":")[4]
    key = rendered["key"]["arn"]
    found = [*_of_drs("worker-task", home), *_of_drs("target", target)]
    for who in ("worker-task", "recovery-machine", "reconcile-machine", "pause-watch", *(f"person/{name}" for name in rendered["people"])):
        found += _table_key(who, home, key)
    found += _topic_key(home, key)
    for who in ("recovery-machine", "reconcile-machine"):
        found += _machine_platform(who, home)
    found += _worker_start(home)
    found += _by_hand(home, sorted(rendered["people"]))
    return found


def _of_drs(who: str, account: str) -> Iterator[Call]:
    """DRS's calls in the name of whoever called StartRecovery (forward access session)."""
    own, image, snapshot = f"arn:aws:ec2:{REGION}:{account}:", f"arn:aws:ec2:{REGION}::image/ami-1", f"arn:aws:ec2:{REGION}::snapshot/snap-1"
    shared_subnet = f"arn:aws:ec2:{REGION}:999900001111:subnet/subnet-1"

    def call(action: str, resource: str, keys: Keys, source: str, region: str = REGION) -> Call:
        return Call(who, account, action, resource, region, keys, source=source)

    server = f"arn:aws:drs:{REGION}:{account}:source-server/s-1"
    yield call("drs:CreateRecoveryInstanceForDrs", server, VIA_DRS, SAR)
    # Reads are not limited by Region: DRS reads where it copies from, too.
    for action in ("drs:DescribeReplicationConfigurationTemplates", "drs:DescribeSourceServers"):
        yield call(action, "*", VIA_DRS, SAR if action.endswith("Servers") else TRAIL, "us-east-1")
    yield call("drs:ListTagsForResource", "*", VIA_DRS, SAR)
    for name in READS:
        yield call(f"ec2:{name}", "*", VIA_DRS, READS[name], "us-east-1")
    for name in ("DescribeInstanceAttribute", "GetConsoleOutput", "GetConsoleScreenshot"):
        yield call(f"ec2:{name}", f"{own}instance/i-1", VIA_DRS, SAR if name.startswith("Describe") else TRAIL)
    for name, (kinds, source) in MUTATIONS.items():
        for kind in kinds:
            resource = {"image": image, "snapshot": snapshot, "subnet": shared_subnet}.get(kind, f"{own}{kind}/x-1")
            yield call(f"ec2:{name}", resource, VIA_DRS, source)
    for creation, kind in CREATIONS.items():
        resource = snapshot if kind == "snapshot" else f"{own}{kind}/x-1"
        yield call("ec2:CreateTags", resource, {**VIA_DRS, "ec2:CreateAction": creation}, CONSOLE)
    for name in ("CreateLaunchTemplateVersion", "CreateTags", "DeleteLaunchTemplateVersions", "ModifyLaunchTemplate"):
        # Without the forwarded session: DRS has been seen to change its templates outside one.
        yield call(f"ec2:{name}", f"{own}launch-template/lt-1", MANAGED, CONSOLE)
    yield call("ec2:TerminateInstances", f"{own}instance/i-1", {**VIA_DRS, **MANAGED}, SAR)
    for role in ("ConversionServerRole", "RecoveryInstanceRole", "RecoveryInstanceWithLaunchActionsRole"):
        arn = f"arn:aws:iam::{account}:role/service-role/AWSElasticDisasterRecovery{role}"
        yield call("iam:PassRole", arn, {**VIA_DRS, "iam:PassedToService": "ec2.amazonaws.com"}, SAR)
    yield from _post_launch(who, account)
    yield from _volume_keys(who, account)


# Reads that DRS does on every resource, and who says so.
READS = {
    **dict.fromkeys(
        ("DescribeAccountAttributes", "DescribeAvailabilityZones", "DescribeImages", "DescribeInstanceStatus", "DescribeInstanceTypes",
         "DescribeInstances", "DescribeLaunchTemplateVersions", "DescribeLaunchTemplates", "DescribeSecurityGroups", "DescribeSnapshots",
         "DescribeSubnets", "DescribeVolumes"), SAR),
    **dict.fromkeys(
        ("DescribeCapacityReservations", "DescribeHosts", "DescribeInstanceTypeOfferings", "GetEbsDefaultKmsKeyId",
         "GetEbsEncryptionByDefault", "GetInstanceTypesFromInstanceRequirements"), CONSOLE),
}  # fmt: skip

# What changes EC2, the kinds of resources each is authorised on, and who says so.
MUTATIONS: dict[str, tuple[Sequence[str], str]] = {
    "AssociateIamInstanceProfile": (["instance"], CONSOLE),
    "AttachVolume": (["instance", "volume"], SAR),
    "AuthorizeSecurityGroupEgress": (["security-group"], SAR),
    "AuthorizeSecurityGroupIngress": (["security-group"], SAR),
    "CreateFleet": (["fleet", "instance", "volume", "subnet", "image", "launch-template"], CONSOLE),
    "CreateLaunchTemplate": (["launch-template"], SAR),
    "CreateNetworkInterface": (["network-interface", "subnet", "security-group"], CONSOLE),
    "CreateNetworkInterfacePermission": (["network-interface"], CONSOLE),
    "CreateSecurityGroup": (["security-group", "vpc"], TRAIL),
    "CreateSnapshot": (["volume", "snapshot"], SAR),
    "CreateVolume": (["volume"], SAR),
    "DeleteSnapshot": (["snapshot"], SAR),
    "DeleteVolume": (["volume"], SAR),
    "DetachVolume": (["instance", "volume"], SAR),
    "ModifyInstanceAttribute": (["instance"], SAR),
    "RevokeSecurityGroupEgress": (["security-group"], SAR),
    "RunInstances": (["instance", "volume", "subnet", "image", "network-interface", "security-group", "launch-template"], SAR),
    "StartInstances": (["instance"], SAR),
    "StopInstances": (["instance"], SAR),
}
CREATIONS = {
    "CreateFleet": "instance", "CreateLaunchTemplate": "launch-template", "CreateNetworkInterface": "network-interface",
    "CreateSecurityGroup": "security-group", "CreateSnapshot": "snapshot", "CreateVolume": "volume", "RunInstances": "instance",
}  # fmt: skip


def _post_launch(who: str, account: str) -> Iterator[Call]:
    def call(action: str, resource: str, keys: Keys, source: str) -> Call:
        return Call(who, account, f"ssm:{action}", resource, REGION, keys, source=source)

    for name in ("AWSMigration-VerifyMountedVolumes", "AWSEC2-ApplicationInsightsCloudwatchAgentInstallAndConfigure"):
        document = f"arn:aws:ssm:{REGION}::document/{name}"
        yield call("SendCommand", document, VIA_DRS, CONSOLE)
        yield call("DescribeDocument", document, {}, LAUNCH)
        yield call("GetDocument", document, {}, LAUNCH)
    yield call("SendCommand", f"arn:aws:ec2:{REGION}:{account}:instance/i-1", {**VIA_DRS, **MANAGED}, CONSOLE)
    yield call("SendCommand", f"arn:aws:ec2:{REGION}:{account}:instance/i-1", {**VIA_DRS, **INTO}, LAUNCH)
    # Systems Manager user guide, "Identity-based policy examples": authorised on the document and on the execution.
    for resource in (f"{REGION}::document/AWS-CreateImage", f"{REGION}::automation-definition/AWS-CreateImage:$DEFAULT",
                     f"{REGION}:{account}:automation-execution/1"):  # fmt: skip
        yield call("StartAutomationExecution", f"arn:aws:ssm:{resource}", VIA_DRS, CONSOLE)
    yield call("GetAutomationExecution", f"arn:aws:ssm:{REGION}:{account}:automation-execution/1", MANAGED, CONSOLE)
    for name in ("DescribeInstanceInformation", "DescribeParameters", "ListCommandInvocations"):
        yield call(name, "*", VIA_DRS, LAUNCH)
    for path in ("ManagedByAWSElasticDisasterRecovery-p", "ManagedByAWSElasticDisasterRecoveryService-p"):
        parameter = f"arn:aws:ssm:{REGION}:{account}:parameter/{path}"
        yield call("GetParameter", parameter, {}, LAUNCH)
        yield call("GetParameters", parameter, {"aws:ViaAWSService": "true", "aws:CalledVia": ["ssm.amazonaws.com"]}, CONSOLE)
    role: Keys = {"iam:PassedToService": "ssm.amazonaws.com", **VIA_DRS}
    source = "Systems Manager user guide, automation setup: iam:PassRole for an AutomationAssumeRole"
    yield Call(who, account, "iam:PassRole", f"arn:aws:iam::{account}:role/after-launch", REGION, role, source=source)


def _volume_keys(who: str, account: str) -> Iterator[Call]:
    key = f"arn:aws:kms:{REGION}:{account}:key/{VOLUME_KEY}"
    source = "EC2 user guide, Amazon EBS encryption: required permissions"
    for name in ("Decrypt", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"):
        yield Call(who, account, f"kms:{name}", key, REGION, {**VIA_DRS, "kms:ViaService": f"ec2.{REGION}.amazonaws.com"}, source=source)
    grant: Keys = {**VIA_DRS, "kms:ViaService": f"ec2.{REGION}.amazonaws.com", "kms:GrantIsForAWSResource": "true"}
    yield Call(who, account, "kms:CreateGrant", key, REGION, grant, source=source)
    yield Call(who, account, "kms:DescribeKey", key, REGION, VIA_DRS, source=CONSOLE)


def _table_key(who: str, account: str, key: str) -> Iterator[Call]:
    keys: Keys = {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com", "kms:CallerAccount": account, "aws:ViaAWSService": "true"}
    for name in ("Decrypt", "DescribeKey", "GenerateDataKey"):
        yield Call(who, account, f"kms:{name}", key, REGION, keys, source="DynamoDB developer guide, encryption at rest: usage notes")


def _topic_key(account: str, key: str) -> Iterator[Call]:
    keys: Keys = {"kms:ViaService": f"sns.{REGION}.amazonaws.com", "kms:CallerAccount": account, "aws:ViaAWSService": "true"}
    for name in ("Decrypt", "GenerateDataKey"):
        source = "SNS developer guide, key management: permissions of whoever publishes to an encrypted topic"
        yield Call("notifications-rule", account, f"kms:{name}", key, REGION, keys, source=source)


def _machine_platform(who: str, account: str) -> Iterator[Call]:
    for name in ("CreateLogDelivery", "DeleteLogDelivery", "DescribeLogGroups", "DescribeResourcePolicies", "GetLogDelivery",
                 "ListLogDeliveries", "PutResourcePolicy", "UpdateLogDelivery"):  # fmt: skip
        yield Call(who, account, f"logs:{name}", "*", REGION, {}, source="Step Functions developer guide, logging to CloudWatch Logs")
    for name in ("GetSamplingRules", "GetSamplingTargets", "PutTelemetryRecords", "PutTraceSegments"):
        yield Call(who, account, f"xray:{name}", "*", REGION, {}, source="Step Functions developer guide, X-Ray")


def _worker_start(account: str) -> Iterator[Call]:
    repository = f"arn:aws:ecr:{REGION}:{account}:repository/{PREFIX}-worker"
    source = "ECS developer guide, task execution role"
    yield Call("worker-execution", account, "ecr:GetAuthorizationToken", "*", REGION, {}, source=source)
    for name in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        yield Call("worker-execution", account, f"ecr:{name}", repository, REGION, {}, source=source)
    stream = f"arn:aws:logs:{REGION}:{account}:log-group:/tidegate/{PREFIX}/worker:log-stream:worker/worker/1"
    for name in ("CreateLogStream", "PutLogEvents"):
        yield Call("worker-execution", account, f"logs:{name}", stream, REGION, {}, source=source)


def _by_hand(account: str, people: Sequence[str]) -> Iterator[Call]:
    """What people do with the AWS CLI or the console, and the tool does otherwise."""
    tables = f"arn:aws:dynamodb:{REGION}:{account}:table/{PREFIX}"
    whole: Keys = {"dynamodb:Select": "ALL_ATTRIBUTES"}

    def call(name: str, action: str, resource: str, keys: Keys) -> Call:
        return Call(f"person/{name}", account, action, resource, REGION, keys, source=GUIDE)

    for name in people:
        for table in ("execution-history", "execution-requests", "execution-waves"):
            yield call(name, "dynamodb:GetItem", f"{tables}-{table}", whole)
        yield call(name, "states:DescribeExecution", f"arn:aws:states:{REGION}:{account}:execution:{PREFIX}-recovery:x", {})
    for table in ("recovery-plans", "protection-groups"):
        for action in ("GetItem", "Query", "Scan"):
            yield call("read-only", f"dynamodb:{action}", f"{tables}-{table}", whole)
    yield call("approve", "dynamodb:GetItem", f"{tables}-execution-gates", whole)
    yield call("approve", "states:GetExecutionHistory", f"arn:aws:states:{REGION}:{account}:execution:{PREFIX}-recovery:x", {})
    yield call("reconcile", "states:GetExecutionHistory", f"arn:aws:states:{REGION}:{account}:execution:{PREFIX}-reconcile:x", {})
