mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "444455556666" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::444455556666:role/tidegate-test-target"
      id  = "tidegate-test-target"
    }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::444455556666:policy/tidegate-test-target" }
  }
}

variables {
  name_prefix      = "tidegate-test"
  worker_role_arn  = "arn:aws:iam::111122223333:role/tidegate-test-worker-task"
  external_id      = "q3Xw-7Ztp-09aB-kLmN"
  recovery_regions = ["eu-west-1", "eu-central-1"]
}

run "only_the_worker_with_its_word" {
  command = plan

  assert {
    condition = jsonencode(jsondecode(aws_iam_role.this.assume_role_policy).Statement) == jsonencode([{
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "sts:ExternalId" = "q3Xw-7Ztp-09aB-kLmN" } }
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::111122223333:role/tidegate-test-worker-task" }
      Sid       = "OnlyTheWorkerAndOnlyWithItsWord"
    }])
    error_message = "the trust policy lets somebody else in, or asks no external id"
  }

  assert {
    condition     = aws_iam_role.this.max_session_duration == 3600
    error_message = "chained sessions last an hour"
  }
}

run "the_same_rights_as_at_home_and_no_others" {
  command = plan
  variables { tag_jobs = true }

  # Everything the contract's activities call in DRS and EC2.
  assert {
    condition = length(setsubtract(
      [for action in flatten([for activity in jsondecode(file("../../../statemachine/contract/contract.json")).activities : activity.awsActions]) : action if can(regex("^(drs|ec2):", action))],
      flatten([for policy in values(aws_iam_policy.this) : [for statement in jsondecode(policy.policy).Statement : statement.Action]]),
    )) == 0
    error_message = "a worker with this role would be denied an action that the contract lists"
  }

  assert {
    condition = length(setintersection(["dynamodb", "states", "events", "sts", "sns", "sqs", "logs"],
    [for action in flatten([for policy in values(aws_iam_policy.this) : [for statement in jsondecode(policy.policy).Statement : statement.Action]]) : split(":", action)[0]])) == 0
    error_message = "records and task tokens are the control plane's"
  }

  # AWS's own documents belong to no account and are the same in every Region.
  assert {
    condition = alltrue(flatten([for policy in values(aws_iam_policy.this) : [for statement in jsondecode(policy.policy).Statement : [
      for resource in flatten([statement.Resource]) : resource == "*" || can(regex("^arn:aws:[a-z0-9]+:(eu-west-1|eu-central-1):", resource)) || can(regex("^arn:aws:ssm:\\*::(document|automation-definition)/A", resource)) || can(regex("^arn:aws:iam::444455556666:role/", resource))
    ]]]))
    error_message = "a right reaches another Region or account"
  }

  assert {
    condition = alltrue(flatten([for policy in values(aws_iam_policy.this) : [for statement in jsondecode(policy.policy).Statement :
      try(statement.Condition.StringEquals["iam:PassedToService"], "") == "ec2.amazonaws.com" if contains(flatten([statement.Action]), "iam:PassRole")
    ]]))
    error_message = "roles are passed to EC2 only"
  }

  assert {
    condition     = alltrue([for policy in values(aws_iam_policy.this) : length(policy.policy) <= 6144])
    error_message = "IAM would refuse the policies"
  }
}

run "servers_can_be_fenced_by_tags" {
  command = plan
  variables { source_server_tags = { dr = "tidegate" } }

  assert {
    condition     = jsondecode(aws_iam_policy.this["drs-launch"].policy).Statement[0].Condition.StringEquals["aws:ResourceTag/dr"] == "tidegate"
    error_message = "only tagged servers may be recovered"
  }
}

run "own_automations_get_their_roles_and_what_they_take" {
  command = plan
  variables {
    automation_role_arns       = ["arn:aws:iam::444455556666:role/after-launch"]
    additional_worker_policies = { image = "arn:aws:iam::444455556666:policy/create-image" }
  }

  assert {
    condition = one([for statement in jsondecode(aws_iam_policy.this["drs-actions"].policy).Statement : statement if statement.Sid == "GiveAutomationsTheirRoles"]) == {
      Sid       = "GiveAutomationsTheirRoles"
      Effect    = "Allow"
      Action    = "iam:PassRole"
      Resource  = ["arn:aws:iam::444455556666:role/after-launch"]
      Condition = { StringEquals = { "iam:PassedToService" = "ssm.amazonaws.com" } }
    }
    error_message = "the role is passed to Systems Manager, and to nothing else"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.additional["image"].policy_arn == "arn:aws:iam::444455556666:policy/create-image"
    error_message = "the company's policy is not attached"
  }
}

run "an_additional_policy_is_a_managed_one" {
  command = plan
  variables { additional_worker_policies = { image = "arn:aws:iam::444455556666:role/create-image" } }
  expect_failures = [var.additional_worker_policies]
}

run "an_automation_role_is_a_role" {
  command = plan
  variables { automation_role_arns = ["arn:aws:iam::444455556666:role/*"] }
  expect_failures = [var.automation_role_arns]
}

run "too_long_policies_are_refused_before_iam_does" {
  command = plan
  variables { volume_key_arns = [for number in range(120) : format("arn:aws:kms:eu-west-1:444455556666:key/00000000-0000-0000-0000-%012d", number)] }
  expect_failures = [aws_iam_policy.this]
}

run "bad_name_prefix_is_refused" {
  command = plan
  variables { name_prefix = "tidegate-" }
  expect_failures = [var.name_prefix]
}

run "an_account_is_no_worker" {
  command = plan
  variables { worker_role_arn = "arn:aws:iam::111122223333:root" }
  expect_failures = [var.worker_role_arn]
}

run "a_short_external_id_is_refused" {
  command = plan
  variables { external_id = "tidegate" }
  expect_failures = [var.external_id]
}

run "blanks_in_the_external_id_are_refused" {
  command = plan
  variables { external_id = "a word with blanks in it" }
  expect_failures = [var.external_id]
}

run "a_zone_is_no_region" {
  command = plan
  variables { recovery_regions = ["eu-west-1a"] }
  expect_failures = [var.recovery_regions]
}

run "no_region_is_refused" {
  command = plan
  variables { recovery_regions = [] }
  expect_failures = [var.recovery_regions]
}

run "half_an_hour_is_refused" {
  command = plan
  variables { max_session_seconds = 1800 }
  expect_failures = [var.max_session_seconds]
}

run "a_boundary_is_a_policy" {
  command = plan
  variables { permissions_boundary_arn = "arn:aws:iam::444455556666:role/boundary" }
  expect_failures = [var.permissions_boundary_arn]
}

run "launch_roles_are_roles" {
  command = plan
  variables { launch_role_arns = ["arn:aws:iam::444455556666:instance-profile/app"] }
  expect_failures = [var.launch_role_arns]
}

run "keys_are_no_aliases" {
  command = plan
  variables { volume_key_arns = ["arn:aws:kms:eu-west-1:444455556666:alias/ebs"] }
  expect_failures = [var.volume_key_arns]
}

run "own_documents_are_arns" {
  command = plan
  variables { post_launch_documents = ["my-document"] }
  expect_failures = [var.post_launch_documents]
}
