# The contract as text: no provider, no mock.

variables {
  name_prefix = "tidegate-x"
  region      = "us-west-2"
  account_id  = "111122223333"
}

run "names_follow_the_prefix" {
  command = plan

  assert {
    condition     = output.activities["start-wave-v1"].arn == "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v1"
    error_message = "An activity's ARN is computed from prefix, Region and account."
  }
  assert {
    condition     = output.tables["executionHistory"].name == "tidegate-x-execution-history" && output.tables["executionHistory"].range_key == "planId"
    error_message = "A table has its contract name and keys."
  }
  assert {
    condition     = output.tables["executionHistory"].indexes["StatusIndex"] == { hash_key = "status", range_key = "startTime" }
    error_message = "Indexes come from the contract."
  }
  assert {
    condition     = output.state_machines["recovery"].name == "tidegate-x-recovery" && output.state_machines["reconcile"].role_name == "tidegate-x-reconcile-machine"
    error_message = "Each machine has a name and a role of its own."
  }
  assert {
    condition     = length(distinct([for machine in output.state_machines : machine.role_name])) == length(output.state_machines)
    error_message = "Two machines share a role."
  }
}

run "definitions_are_rendered" {
  command = plan

  assert {
    condition     = alltrue([for machine in output.state_machines : !strcontains(machine.definition, "$${") && can(jsondecode(machine.definition).States)])
    error_message = "A rendered definition is JSON without placeholders."
  }
  assert {
    condition     = jsondecode(output.state_machines["recovery"].definition).States.StartWave.Resource == "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v1"
    error_message = "A task names the activity of this deployment."
  }
  assert {
    # A definition that asks for a value nobody gives fails in templatefile; one that no longer asks is silent there.
    condition = alltrue([
      for table in ["execution-history", "execution-waves"] : strcontains(output.state_machines["recovery"].definition, "tidegate-x-${table}")
    ])
    error_message = "The recovery machine writes to the tables of this deployment."
  }
}

run "policies_name_what_is_here" {
  command = plan

  assert {
    condition = toset(one([
      for statement in jsondecode(output.policies["worker"]).Statement : statement.Resource if statement.Sid == "TakeTasks"
    ])) == toset([for activity in output.activities : activity.arn])
    error_message = "Workers take tasks of every activity of this deployment and of no other."
  }
  assert {
    condition     = length([for statement in jsondecode(output.policies["worker"]).Statement : statement if statement.Sid == "ActInTargetAccounts"]) == 0
    error_message = "Without target roles nothing is assumed."
  }
  assert {
    condition = alltrue([
      for name in ["drs-observe", "drs-launch", "drs-actions", "drs-cleanup"] : !strcontains(replace(output.policies[name], "us-west-2", ""), "us-")
    ])
    error_message = "DRS is used in the recovery Regions only."
  }
  assert {
    condition     = output.worker.policy_names == ["worker", "drs-observe", "drs-launch", "drs-actions", "drs-cleanup"]
    error_message = "The worker recovers servers of its own account, too."
  }
}

run "target_accounts_only" {
  command = plan
  variables {
    recovers_own_account = false
    target_accounts = {
      "444455556666" = { role_arn = "arn:aws:iam::444455556666:role/tidegate-target", external_id = "one-word-between-two" }
      "777788889999" = { role_arn = "arn:aws:iam::777788889999:role/path/recovery" }
    }
  }

  assert {
    condition     = output.worker.policy_names == ["worker"]
    error_message = "A worker that recovers other accounts only has no rights towards DRS at home."
  }
  assert {
    condition = one([
      for statement in jsondecode(output.policies["worker"]).Statement : statement.Resource if statement.Sid == "ActInTargetAccounts"
    ]) == ["arn:aws:iam::444455556666:role/tidegate-target", "arn:aws:iam::777788889999:role/path/recovery"]
    error_message = "Only the roles given may be assumed."
  }
}

run "source_servers_can_be_fenced_by_tags" {
  command = plan
  variables {
    source_server_tags = { Stage = "drill" }
  }

  assert {
    condition = one([
      for statement in jsondecode(output.policies["drs-launch"]).Statement : statement.Condition if statement.Sid == "StartRecoveries"
    ]) == { StringEquals = { "aws:ResourceTag/Stage" = "drill" } }
    error_message = "StartRecovery asks for the tags."
  }
}

run "everything_in_three_regions_fits" {
  command = plan
  variables {
    recovery_regions   = ["us-west-2", "eu-west-1", "eu-central-1"]
    target_accounts    = { for number in range(60) : format("4444555566%02d", number) => { role_arn = format("arn:aws:iam::4444555566%02d:role/tidegate-target", number) } }
    kms_key_arn        = "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d"
    volume_key_arns    = ["arn:aws:kms:us-west-2:111122223333:key/4e5f6a7b"]
    source_server_tags = { Stage = "drill" }
  }

  assert {
    condition     = alltrue([for name in output.worker.policy_names : length(output.policies[name]) <= 6144])
    error_message = "IAM takes 6,144 characters per managed policy."
  }
}

# ----- refusals

run "refuses_a_prefix_in_capitals" {
  command = plan
  variables {
    name_prefix = "Tidegate"
  }
  expect_failures = [var.name_prefix]
}

run "refuses_a_prefix_that_is_too_long" {
  command = plan
  variables {
    name_prefix = "tidegate-with-a-name-of-thirty-three"
  }
  expect_failures = [var.name_prefix]
}

run "in_govcloud_every_arn_is_of_govcloud" {
  command = plan

  variables {
    partition = "aws-us-gov"
    region    = "us-gov-west-1"
  }

  assert {
    # An ARN of another partition ends an execution with States.Runtime, which no Catch takes.
    condition = alltrue(flatten([
      for machine in output.state_machines : [for partition in flatten(regexall("arn:([a-z-]+):", machine.definition)) : partition == "aws-us-gov"]
    ]))
    error_message = "A definition names another partition than its own."
  }
  assert {
    condition     = jsondecode(output.state_machines["reconcile"].definition).States.AskStepFunctions.Resource == "arn:aws-us-gov:states:::aws-sdk:sfn:describeExecution"
    error_message = "An integration is of the deployment's partition."
  }
}

run "refuses_an_unknown_partition" {
  command = plan
  variables {
    partition = "aws-mars"
  }
  expect_failures = [var.partition]
}

run "refuses_a_region_that_is_none" {
  command = plan
  variables {
    region = "virginia"
  }
  expect_failures = [var.region]
}

run "refuses_an_account_that_is_none" {
  command = plan
  variables {
    account_id = "12345"
  }
  expect_failures = [var.account_id]
}

run "refuses_a_protected_region_that_is_none" {
  command = plan
  variables {
    protected_regions = ["us-east"]
  }
  expect_failures = [var.protected_regions]
}

run "refuses_a_recovery_region_that_is_none" {
  command = plan
  variables {
    recovery_regions = ["west"]
  }
  expect_failures = [var.recovery_regions]
}

run "takes_regions_aws_may_add" {
  command = plan
  variables {
    recovery_regions = ["us-west-2", "eusc-de-east-1", "us-isob-east-1", "ap-southeast-12"]
  }
  assert {
    condition     = contains(output.recovery_regions, "eusc-de-east-1")
    error_message = "a Region of the European Sovereign Cloud is a Region"
  }
}

run "refuses_a_target_role_with_a_wildcard" {
  command = plan
  variables {
    target_accounts = { "444455556666" = { role_arn = "arn:aws:iam::444455556666:role/*" } }
  }
  expect_failures = [var.target_accounts]
}

run "refuses_another_accounts_role_for_an_account" {
  command = plan
  variables {
    target_accounts = { "444455556666" = { role_arn = "arn:aws:iam::777788889999:role/t" } }
  }
  expect_failures = [var.target_accounts]
}

run "refuses_an_external_id_that_sts_does_not_take" {
  command = plan
  variables {
    target_accounts = { "444455556666" = { role_arn = "arn:aws:iam::444455556666:role/t", external_id = "two words" } }
  }
  expect_failures = [var.target_accounts]
}

run "tells_the_workers_where_they_get_to" {
  command = plan
  variables {
    recovery_regions = ["us-west-2", "eu-west-1"]
    target_accounts = {
      "444455556666" = { role_arn = "arn:aws:iam::444455556666:role/t", external_id = "one-word-between-two" }
      "777788889999" = { role_arn = "arn:aws:iam::777788889999:role/t" }
    }
  }

  assert {
    condition = output.reach.TIDEGATE_REGIONS == "eu-west-1,us-west-2" && jsondecode(output.reach.TIDEGATE_TARGET_ACCOUNTS) == {
      "444455556666" = { roleArn = "arn:aws:iam::444455556666:role/t", externalId = "one-word-between-two" }
      "777788889999" = { roleArn = "arn:aws:iam::777788889999:role/t" }
    }
    error_message = "As workers/core/src/reach.rs reads them: ${output.reach.TIDEGATE_TARGET_ACCOUNTS}"
  }

  assert {
    condition     = !strcontains(join("", values(output.policies)), "one-word-between-two")
    error_message = "No policy tells an external id."
  }
}

run "refuses_a_launch_role_with_a_wildcard" {
  command = plan
  variables {
    launch_role_arns = ["arn:aws:iam::111122223333:role/app-*"]
  }
  expect_failures = [var.launch_role_arns]
}

run "refuses_a_volume_key_alias" {
  command = plan
  variables {
    volume_key_arns = ["arn:aws:kms:us-west-2:111122223333:alias/x"]
  }
  expect_failures = [var.volume_key_arns]
}

run "refuses_every_document" {
  command = plan
  variables {
    post_launch_documents = ["*"]
  }
  expect_failures = [var.post_launch_documents]
}

run "refuses_a_key_alias" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:us-west-2:111122223333:alias/x"
  }
  expect_failures = [var.kms_key_arn]
}

run "refuses_a_repository_url" {
  command = plan
  variables {
    image_repository_arn = "111122223333.dkr.ecr.us-west-2.amazonaws.com/x"
  }
  expect_failures = [var.image_repository_arn]
}

run "refuses_the_control_plane_in_a_protected_region" {
  command = plan
  variables {
    protected_regions = ["us-west-2"]
  }
  expect_failures = [terraform_data.guards]
}

run "refuses_to_recover_into_a_protected_region" {
  command = plan
  variables {
    protected_regions = ["us-east-1"]
    recovery_regions  = ["us-east-1"]
  }
  expect_failures = [terraform_data.guards]
}

run "refuses_workers_that_can_recover_nothing" {
  command = plan
  variables {
    recovers_own_account = false
  }
  expect_failures = [terraform_data.guards]
}

run "refuses_more_than_a_role_holds" {
  command = plan
  variables {
    launch_role_arns = [for n in range(120) : "arn:aws:iam::111122223333:role/application-server-number-${n}"]
  }
  expect_failures = [terraform_data.guards]
}
