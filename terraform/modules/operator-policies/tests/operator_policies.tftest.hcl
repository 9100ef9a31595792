mock_provider "aws" {
  override_during = plan
}

variables {
  name_prefix                 = "tidegate-test"
  recovery_state_machine_arn  = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery"
  reconcile_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-reconcile"
  table_arns = {
    executionHistory  = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-history"
    executionWaves    = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-waves"
    executionRequests = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-requests"
    executionGates    = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-gates"
    recoveryPlans     = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-recovery-plans"
    protectionGroups  = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-protection-groups"
    serverLocks       = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-server-locks"
  }
}

run "each_task_has_its_policy_and_no_more_rights_than_it_needs" {
  command = plan

  assert {
    condition = jsonencode({ for task, policy in aws_iam_policy.this : task => sort(distinct(flatten([for statement in jsondecode(policy.policy).Statement : statement.Action if statement.Effect == "Allow"]))) }) == jsonencode({
      start     = ["dynamodb:GetItem", "dynamodb:Query", "states:DescribeExecution", "states:StartExecution"]
      approve   = ["dynamodb:GetItem", "dynamodb:Query", "states:DescribeExecution", "states:GetExecutionHistory", "states:SendTaskFailure", "states:SendTaskSuccess"]
      request   = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:UpdateItem", "states:DescribeExecution"]
      reconcile = ["dynamodb:GetItem", "dynamodb:Query", "states:DescribeExecution", "states:GetExecutionHistory", "states:StartExecution"]
      read-only = ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "states:DescribeExecution"]
    })
    error_message = "a task can do more, or less, than it says"
  }

  assert {
    condition = alltrue(flatten([for policy in values(aws_iam_policy.this) : [
      for statement in jsondecode(policy.policy).Statement : !contains(flatten([statement.Resource]), "*") || toset(flatten([statement.Action])) == toset(["states:SendTaskFailure", "states:SendTaskSuccess"])
    ]]))
    error_message = "only SendTask*, which have no resource type, are on *"
  }

  assert {
    condition     = alltrue([for policy in values(aws_iam_policy.this) : length(distinct([for statement in jsondecode(policy.policy).Statement : statement.Sid])) == length(jsondecode(policy.policy).Statement) && length(policy.policy) <= 6144])
    error_message = "every statement has its own Sid, and IAM takes 6,144 characters"
  }
}

run "only_approvers_can_come_by_a_token" {
  command = plan

  assert {
    condition = sort(flatten([for task, policy in aws_iam_policy.this : [
      for statement in jsondecode(policy.policy).Statement : "${task} ${join(",", flatten([statement.Action]))}"
      if length([for resource in flatten([statement.Resource]) : resource if endswith(resource, "-execution-gates")]) > 0
    ]])) == tolist(["approve dynamodb:GetItem"])
    error_message = "somebody but an approver can read a gate's token"
  }

  assert {
    condition = alltrue(flatten([for task, policy in aws_iam_policy.this : [
      for statement in jsondecode(policy.policy).Statement :
      task == "approve" || !contains(flatten([statement.Action]), "states:GetExecutionHistory") || statement.Resource == "arn:aws:states:eu-west-1:111122223333:execution:tidegate-test-reconcile:*"
    ]]))
    error_message = "the history of a recovery holds the gate's token as a parameter of its state"
  }
}

run "people_write_requests_and_nothing_else" {
  command = plan

  assert {
    condition = sort(flatten([for task, policy in aws_iam_policy.this : [
      for statement in jsondecode(policy.policy).Statement : [for resource in flatten([statement.Resource]) : "${task} ${resource}"]
      if length([for action in flatten([statement.Action]) : action if length(regexall("^dynamodb:(Put|Update|Delete|Batch|Partiql)", action)) > 0]) > 0
    ]])) == tolist(["request arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-requests"])
    error_message = "somebody may write a record, a lock or a token, or another than request may write requests"
  }
}

run "one_who_has_both_policies_can_be_kept_from_approving" {
  command = plan
  variables { starters_may_not_approve = true }

  assert {
    condition     = one([for statement in jsondecode(aws_iam_policy.this["start"].policy).Statement : toset(statement.Action) if statement.Effect == "Deny"]) == toset(["states:SendTaskFailure", "states:SendTaskSuccess"])
    error_message = "a deny beats the approve policy"
  }
}

run "start_only_through_the_alias" {
  command = plan
  variables { state_machine_alias = "live" }

  assert {
    condition     = jsondecode(aws_iam_policy.this["start"].policy).Statement[0].Condition["ForAnyValue:StringEquals"]["states:StateMachineQualifier"] == "live" && jsondecode(aws_iam_policy.this["start"].policy).Statement[0].Resource == "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery"
    error_message = "the alias is a condition on the unqualified ARN"
  }
}

run "approval_can_be_narrowed" {
  command = plan
  variables {
    approvers_need_mfa    = true
    approver_source_cidrs = ["198.51.100.0/24"]
  }

  assert {
    condition = jsonencode(jsondecode(aws_iam_policy.this["approve"].policy).Statement[0].Condition) == jsonencode({
      Bool      = { "aws:MultiFactorAuthPresent" = "true" }
      IpAddress = { "aws:SourceIp" = ["198.51.100.0/24"] }
    })
    error_message = "both conditions hold"
  }
}

run "with_a_key_whose_policy_names_nobody_people_can_still_read" {
  command = plan
  variables {
    kms_key_arn              = "arn:aws:kms:eu-west-1:111122223333:key/0a1b2c3d"
    starters_may_not_approve = true
  }

  assert {
    condition = alltrue([for policy in values(aws_iam_policy.this) : one([
      for statement in jsondecode(policy.policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if contains(flatten([statement.Action]), "kms:Decrypt")
    ]) == "dynamodb.eu-west-1.amazonaws.com"])
    error_message = "somebody reads tables and is refused by their key, or may use it for something else"
  }
}

run "keys_are_no_aliases" {
  command = plan
  variables { kms_key_arn = "alias/tidegate" }
  expect_failures = [var.kms_key_arn]
}

run "bad_name_prefix_is_refused" {
  command = plan
  variables { name_prefix = "-tidegate" }
  expect_failures = [var.name_prefix]
}

run "qualified_recovery_machine_is_refused" {
  command = plan
  variables { recovery_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-recovery:live" }
  expect_failures = [var.recovery_state_machine_arn]
}

run "qualified_reconcile_machine_is_refused" {
  command = plan
  variables { reconcile_state_machine_arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:tidegate-test-reconcile:live" }
  expect_failures = [var.reconcile_state_machine_arn]
}

run "an_alias_is_a_name" {
  command = plan
  variables { state_machine_alias = "1" }
  expect_failures = [var.state_machine_alias]
}

run "a_missing_table_is_refused" {
  command = plan
  variables { table_arns = { executionHistory = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-history" } }
  expect_failures = [var.table_arns]
}

run "tables_are_arns" {
  command = plan
  variables {
    table_arns = {
      executionHistory  = "tidegate-test-execution-history"
      executionWaves    = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-waves"
      executionRequests = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-requests"
      executionGates    = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-execution-gates"
      recoveryPlans     = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-recovery-plans"
      protectionGroups  = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-protection-groups"
      serverLocks       = "arn:aws:dynamodb:eu-west-1:111122223333:table/tidegate-test-server-locks"
    }
  }
  expect_failures = [var.table_arns]
}

run "everywhere_is_no_source" {
  command = plan
  variables { approver_source_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.approver_source_cidrs]
}
