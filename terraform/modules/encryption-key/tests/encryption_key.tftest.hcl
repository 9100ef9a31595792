mock_provider "aws" {
  override_during = plan
}

variables {
  name_prefix = "tidegate-test"
  region      = "eu-west-1"
  account_id  = "111122223333"
}

run "the_key_rotates_and_is_not_gone_at_once" {
  command = plan

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.rotation_period_in_days == 365 && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "rotation is on, and a destroyed deployment's key can be kept for a month"
  }

  assert {
    condition     = aws_kms_alias.this.name == "alias/tidegate-test"
    error_message = "the alias is the deployment's name"
  }
}

run "only_this_account_and_only_through_the_services" {
  command = plan

  assert {
    condition = alltrue([for statement in jsondecode(aws_kms_key.this.policy).Statement :
      try(statement.Condition.StringEquals["kms:CallerAccount"], "") == "111122223333" && try(length(statement.Condition.StringEquals["kms:ViaService"]), 0) > 0
      if try(statement.Principal.AWS, "") == "*"
    ])
    error_message = "any principal of any account could use the key"
  }

  assert {
    condition = alltrue([for service in ["dynamodb", "ecr", "sns", "sqs"] : anytrue([for statement in jsondecode(aws_kms_key.this.policy).Statement :
      contains(try(statement.Condition.StringEquals["kms:ViaService"], []), "${service}.eu-west-1.amazonaws.com") && contains(flatten([statement.Action]), "kms:Decrypt")
    ])])
    error_message = "a service of the deployment could not use the key"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(aws_kms_key.this.policy).Statement : values(statement.Principal) if can(statement.Principal.Service)])) == toset([
      "logs.eu-west-1.amazonaws.com", "delivery.logs.amazonaws.com", "events.amazonaws.com", "cloudwatch.amazonaws.com",
    ])
    error_message = "a service principal is missing, or one too many"
  }

  # EventBridge sends no source with its KMS calls (SNS developer guide, "Enable compatibility").
  assert {
    condition = alltrue([for statement in jsondecode(aws_kms_key.this.policy).Statement :
      can(statement.Condition) || statement.Principal.Service == "events.amazonaws.com" if can(statement.Principal.Service)
    ])
    error_message = "a service that says for whom it acts is not asked"
  }
}

run "log_groups_are_told_by_their_context" {
  command = plan

  assert {
    condition = toset(one([for statement in jsondecode(aws_kms_key.this.policy).Statement : statement if statement.Sid == "LogGroupsOfTheDeployment"]).Condition.ArnLike["kms:EncryptionContext:aws:logs:arn"]) == toset([
      "arn:aws:logs:eu-west-1:111122223333:log-group:/tidegate/tidegate-test/*",
      "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/vendedlogs/states/tidegate-test-*",
    ])
    error_message = "log groups of others could be encrypted with the key, or ours could not"
  }
}

run "administrators_do_not_use_the_key" {
  command = plan
  variables { administrator_arns = ["arn:aws:iam::111122223333:role/key-admin"] }

  assert {
    condition = length(setintersection(
      one([for statement in jsondecode(aws_kms_key.this.policy).Statement : statement if statement.Sid == "AdministratorsManageButDoNotUse"]).Action,
      ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:*"],
    )) == 0
    error_message = "who manages the key could read with it"
  }

  assert {
    condition     = !contains(one([for statement in jsondecode(aws_kms_key.this.policy).Statement : statement if statement.Sid == "TheAccountGovernsTheKey"]).Action, "kms:*")
    error_message = "with administrators named, other IAM policies give no use of the key"
  }

  # KMS refuses a policy that locks everybody out.
  assert {
    condition     = contains(one([for statement in jsondecode(aws_kms_key.this.policy).Statement : statement if statement.Sid == "TheAccountGovernsTheKey"]).Action, "kms:PutKeyPolicy")
    error_message = "a lost administrator role would take the key with it"
  }
}

run "bad_name_prefix_is_refused" {
  command = plan
  variables { name_prefix = "Tidegate" }
  expect_failures = [var.name_prefix]
}

run "aliases_of_aws_are_refused" {
  command = plan
  variables { name_prefix = "aws-tidegate" }
  expect_failures = [var.name_prefix]
}

run "bad_partition_is_refused" {
  command = plan
  variables { partition = "amazon" }
  expect_failures = [var.partition]
}

run "bad_account_is_refused" {
  command = plan
  variables { account_id = "tidegate" }
  expect_failures = [var.account_id]
}

run "administrators_are_roles" {
  command = plan
  variables { administrator_arns = ["arn:aws:iam::111122223333:user/maria"] }
  expect_failures = [var.administrator_arns]
}

run "a_day_to_deletion_is_refused" {
  command = plan
  variables { deletion_window_days = 1 }
  expect_failures = [var.deletion_window_days]
}

run "monthly_rotation_is_refused" {
  command = plan
  variables { rotation_days = 30 }
  expect_failures = [var.rotation_days]
}
