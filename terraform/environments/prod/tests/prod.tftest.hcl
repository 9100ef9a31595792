mock_provider "aws" {
  source = "../../modules/testing"
}

override_resource {
  target = module.tidegate.module.state_machine["recovery"].aws_sfn_state_machine.this
  values = {
    arn                       = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-prod-recovery"
    state_machine_version_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-prod-recovery:1"
  }
}

override_resource {
  target = module.tidegate.module.state_machine["reconcile"].aws_sfn_state_machine.this
  values = {
    arn                       = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-prod-reconcile"
    state_machine_version_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-prod-reconcile:1"
  }
}

override_resource {
  target = module.tidegate.module.tables.aws_dynamodb_table.this["executionHistory"]
  values = { arn = "arn:aws:dynamodb:us-west-2:111122223333:table/tidegate-prod-execution-history" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["prepare-execution-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-prod-prepare-execution-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["start-wave-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-prod-start-wave-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["poll-wave-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-prod-poll-wave-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["finalize-execution-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-prod-finalize-execution-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["start-cleanup-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-prod-start-cleanup-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["poll-cleanup-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-prod-poll-cleanup-v1" }
}

override_data {
  target = module.tidegate.module.workers[0].data.aws_subnet.this["subnet-0123456789abcdef0"]
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2a" }
}

override_data {
  target = module.tidegate.module.workers[0].data.aws_subnet.this["subnet-0123456789abcdef1"]
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2b" }
}

variables {
  region              = "us-west-2"
  protected_regions   = ["us-east-1"]
  account_id          = "111122223333"
  vpc_id              = "vpc-0123456789abcdef0"
  subnet_ids          = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  notification_emails = ["dr-team@example.com"]
  worker_image        = "111122223333.dkr.ecr.us-west-2.amazonaws.com/tidegate-x-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
}

run "it_is_wired" {
  assert {
    condition     = output.table_names["executionHistory"] == "tidegate-prod-execution-history" && output.activity_arns["start-wave-v1"] == "arn:aws:states:us-west-2:111122223333:activity:tidegate-prod-start-wave-v1"
    error_message = "Names carry the environment."
  }
  assert {
    condition     = output.env.TIDEGATE_STATE_MACHINE_ARN == output.state_machine_alias_arns["recovery"] && output.env.TIDEGATE_RECONCILE_ARN == output.state_machine_alias_arns["reconcile"]
    error_message = "The environment names both machines."
  }
  assert {
    condition     = output.worker != null
    error_message = "Workers run here."
  }
}

run "jobs_are_not_tagged_unless_asked_for" {
  command = plan

  assert {
    condition     = strcontains(file("../../../workers/worker/src/config.rs"), "env = \"TIDEGATE_TAG_JOBS\", default_value_t = ${output.env.TIDEGATE_TAG_JOBS},") && !strcontains(output.worker_policies["drs-launch"], "drs:TagResource")
    error_message = "A drill of this environment would tag jobs, which nobody has tried."
  }
}

run "what_the_guide_names_reaches_the_module" {
  command = plan
  variables {
    tag_jobs           = true
    recovery_regions   = ["us-west-2", "eu-west-1"]
    source_server_tags = { RecoverWith = "tidegate" }
    target_accounts    = { "444455556666" = { role_arn = "arn:aws:iam::444455556666:role/target" } }

    automation_role_arns       = ["arn:aws:iam::111122223333:role/after-launch"]
    additional_worker_policies = { create-image = "arn:aws:iam::111122223333:policy/create-image" }
  }

  assert {
    condition     = output.env.TIDEGATE_TAG_JOBS == "true" && strcontains(output.worker_policies["drs-launch"], "drs:TagResource")
    error_message = "tag_jobs is ignored."
  }
  assert {
    condition     = strcontains(output.worker_policies["drs-observe"], "eu-west-1") && strcontains(output.worker_policies["drs-launch"], "eu-west-1")
    error_message = "recovery_regions is ignored."
  }
  assert {
    condition     = strcontains(output.worker_policies["drs-launch"], "aws:ResourceTag/RecoverWith")
    error_message = "source_server_tags is ignored."
  }
  assert {
    condition     = strcontains(output.worker_policies["drs-actions"], ":role/after-launch")
    error_message = "automation_role_arns is ignored."
  }
}

run "prod_warns_while_nobody_is_told" {
  command = plan
  variables {
    notification_emails = []
  }
  expect_failures = [check.somebody_is_told]
}

run "the_first_apply_needs_no_image" {
  command = plan
  variables {
    worker_image = null
  }

  assert {
    condition     = output.worker.service_name == null
    error_message = "Repository and cluster are made, and no service."
  }
}

run "refuses_an_account_that_is_none" {
  command = plan
  variables {
    account_id = "1234"
  }
  expect_failures = [var.account_id]
}
