"""What DRS does in our name, held against the managed policies AWS has written for the same: each difference has its reason.

The lists are the actions of AWSElasticDisasterRecoveryConsoleFullAccess_v2 (v7, 2026-02-11; what the DRS user guide gives
whoever launches) and AWSElasticDisasterRecoveryLaunchActionsPolicy (what it adds for post-launch actions), and the dependent
actions of StartRecovery and TerminateRecoveryInstances in the Service Authorization Reference. `drs:*` of the first is left
out: which of DRS's own actions a process calls is the contract's to say.
"""

from __future__ import annotations

import pytest
from test_policies import allowed

OURS = ("contract/drs-observe", "contract/drs-launch", "contract/drs-actions", "contract/drs-cleanup")

CONSOLE = """
    cloudformation:DescribeStacks cloudformation:ListStacks
    ec2:AssociateIamInstanceProfile ec2:AttachVolume ec2:AuthorizeSecurityGroupEgress ec2:AuthorizeSecurityGroupIngress
    ec2:CreateFleet ec2:CreateLaunchTemplate ec2:CreateLaunchTemplateVersion ec2:CreateNetworkInterface
    ec2:CreateNetworkInterfacePermission ec2:CreateSecurityGroup ec2:CreateSnapshot ec2:CreateTags ec2:CreateVolume
    ec2:DeleteLaunchTemplateVersions ec2:DeleteSnapshot ec2:DeleteTags ec2:DeleteVolume
    ec2:DescribeAccountAttributes ec2:DescribeAvailabilityZones ec2:DescribeCapacityReservations ec2:DescribeHosts
    ec2:DescribeImages ec2:DescribeInstanceAttribute ec2:DescribeInstanceStatus ec2:DescribeInstanceTypeOfferings
    ec2:DescribeInstanceTypes ec2:DescribeInstances ec2:DescribeKeyPairs ec2:DescribeLaunchTemplateVersions
    ec2:DescribeLaunchTemplates ec2:DescribeSecurityGroups ec2:DescribeSnapshots ec2:DescribeSubnets ec2:DescribeVolumes
    ec2:DetachVolume ec2:GetConsoleOutput ec2:GetConsoleScreenshot ec2:GetEbsDefaultKmsKeyId ec2:GetEbsEncryptionByDefault
    ec2:GetInstanceTypesFromInstanceRequirements ec2:ModifyInstanceAttribute ec2:ModifyLaunchTemplate
    ec2:RevokeSecurityGroupEgress ec2:RunInstances ec2:StartInstances ec2:StopInstances ec2:TerminateInstances
    elasticloadbalancing:DescribeLoadBalancers
    iam:ListInstanceProfiles iam:ListRoles iam:PassRole
    kms:DescribeKey kms:ListAliases
    license-manager:ListLicenseConfigurations resource-groups:ListGroups
    s3:GetBucketLocation s3:ListAllMyBuckets
    ssm:DescribeDocument ssm:DescribeInstanceInformation ssm:DescribeParameters ssm:GetAutomationExecution ssm:GetDocument
    ssm:GetParameter ssm:GetParameters ssm:ListCommandInvocations ssm:ListDocuments ssm:PutParameter ssm:SendCommand
    ssm:StartAutomationExecution
"""
LAUNCH_ACTIONS = """
    iam:PassRole ssm:DescribeDocument ssm:DescribeInstanceInformation ssm:DescribeParameters ssm:GetAutomationExecution
    ssm:GetDocument ssm:GetParameter ssm:GetParameters ssm:ListCommandInvocations ssm:ListDocumentVersions ssm:ListDocuments
    ssm:PutParameter ssm:SendCommand ssm:StartAutomationExecution
"""
DEPENDENT = """
    drs:CreateRecoveryInstanceForDrs drs:DescribeSourceServers drs:ListTagsForResource
    ec2:AttachVolume ec2:AuthorizeSecurityGroupEgress ec2:AuthorizeSecurityGroupIngress ec2:CreateLaunchTemplate
    ec2:CreateLaunchTemplateVersion ec2:CreateSnapshot ec2:CreateTags ec2:CreateVolume ec2:DeleteLaunchTemplateVersions
    ec2:DeleteSnapshot ec2:DeleteVolume ec2:DescribeAccountAttributes ec2:DescribeAvailabilityZones ec2:DescribeImages
    ec2:DescribeInstanceAttribute ec2:DescribeInstanceStatus ec2:DescribeInstanceTypes ec2:DescribeInstances
    ec2:DescribeLaunchTemplateVersions ec2:DescribeLaunchTemplates ec2:DescribeSecurityGroups ec2:DescribeSnapshots
    ec2:DescribeSubnets ec2:DescribeVolumes ec2:DetachVolume ec2:ModifyInstanceAttribute ec2:ModifyLaunchTemplate
    ec2:RevokeSecurityGroupEgress ec2:RunInstances ec2:StartInstances ec2:StopInstances ec2:TerminateInstances iam:PassRole
"""
LISTS = {"ConsoleFullAccess_v2": CONSOLE, "LaunchActionsPolicy": LAUNCH_ACTIONS, "dependent actions": DEPENDENT}

_LISTS_OF_CONSOLE = "a list the console offers to choose from; nobody chooses in a recovery"
NOT_OURS = {
    "cloudformation:DescribeStacks": "the console's installation of replication agents by stack",
    "cloudformation:ListStacks": "the same",
    "ec2:DeleteTags": "could take the tag from a launch template that every fence of ours asks for",
    "ec2:DescribeKeyPairs": _LISTS_OF_CONSOLE,
    "elasticloadbalancing:DescribeLoadBalancers": _LISTS_OF_CONSOLE,
    "iam:ListInstanceProfiles": _LISTS_OF_CONSOLE,
    "iam:ListRoles": _LISTS_OF_CONSOLE,
    "kms:ListAliases": _LISTS_OF_CONSOLE,
    "license-manager:ListLicenseConfigurations": _LISTS_OF_CONSOLE,
    "resource-groups:ListGroups": _LISTS_OF_CONSOLE,
    "s3:GetBucketLocation": "the console's choice of a bucket for CloudFormation",
    "s3:ListAllMyBuckets": "the same",
    "ssm:ListDocumentVersions": _LISTS_OF_CONSOLE,
    "ssm:ListDocuments": _LISTS_OF_CONSOLE,
    "ssm:PutParameter": "writes the parameters of an action when somebody sets the action up; a launch reads them",
}
_VOLUMES = "encrypted volumes: AWS's policies leave the key to its own policy, ours name the keys (EC2 user guide, EBS encryption)"
NOT_AWSS = {
    "drs:DescribeReplicationConfigurationTemplates": "within drs:* there; DRS asks for it as the caller (CloudTrail, 2026-09)",
    "drs:TagResource": "within drs:* there; tags of our jobs, only where tag_jobs says so",
    **dict.fromkeys(
        ("drs:DescribeJobLogItems", "drs:DescribeJobs", "drs:DescribeRecoveryInstances", "drs:GetLaunchConfiguration",
         "drs:ListLaunchActions", "drs:ListRecoveryPlanExecutionSteps", "drs:ListRecoveryPlanExecutions", "drs:StartRecovery", "drs:TerminateRecoveryInstances"), "within drs:* there; the contract's own calls"),
    **dict.fromkeys(
        ("kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"), _VOLUMES),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_what_aws_gives_is_given_or_has_a_reason(name: str) -> None:
    missing = {*LISTS[name].split()} - allowed(*OURS) - {*NOT_OURS}
    assert not missing, sorted(missing)


def test_the_dependent_actions_have_no_difference() -> None:
    """Lacking one of these, a launch fails late and without a word."""
    assert {*DEPENDENT.split()} <= allowed(*OURS)


def test_what_we_give_beyond_has_a_reason() -> None:
    theirs = {action for text in LISTS.values() for action in text.split()}
    beyond = allowed(*OURS) - theirs
    # Until the worker asks for it, drs:ListLaunchActions may be in the table and not yet in a policy.
    assert beyond <= {*NOT_AWSS} and {*NOT_AWSS} - beyond <= {"drs:ListLaunchActions"}, (sorted(beyond - {*NOT_AWSS}), sorted({*NOT_AWSS} - beyond))


def test_no_reason_is_left_over() -> None:
    theirs = {action for text in LISTS.values() for action in text.split()}
    assert {*NOT_OURS} <= theirs and not {*NOT_OURS} & allowed(*OURS)
