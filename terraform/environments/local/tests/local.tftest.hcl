# With AWS mocked; `make test-terraform` applies it to a running stack.

mock_provider "aws" {
  source = "../../modules/testing"
}

override_resource {
  target = module.tidegate.module.state_machine["recovery"].aws_sfn_state_machine.this
  values = {
    arn                       = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-tf-recovery"
    state_machine_version_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-tf-recovery:1"
  }
}

override_resource {
  target = module.tidegate.module.state_machine["reconcile"].aws_sfn_state_machine.this
  values = {
    arn                       = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-tf-reconcile"
    state_machine_version_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-tf-reconcile:1"
  }
}

override_resource {
  target = module.tidegate.module.tables.aws_dynamodb_table.this["executionHistory"]
  values = { arn = "arn:aws:dynamodb:us-west-2:111122223333:table/tidegate-tf-execution-history" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["prepare-execution-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-tf-prepare-execution-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["start-wave-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-tf-start-wave-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["poll-wave-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-tf-poll-wave-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["finalize-execution-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-tf-finalize-execution-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["start-cleanup-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-tf-start-cleanup-v1" }
}

override_resource {
  target = module.tidegate.module.activities.aws_sfn_activity.this["poll-cleanup-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-tf-poll-cleanup-v1" }
}

run "it_is_wired" {
  assert {
    condition     = output.table_names["executionHistory"] == "tidegate-tf-execution-history" && contains(output.plan_ids, "crm")
    error_message = "Names carry the prefix, and the example plans are loaded."
  }
}

run "refuses_an_endpoint_that_is_not_this_machine" {
  command = plan
  variables {
    endpoint = "https://sts.us-west-2.amazonaws.com"
  }
  expect_failures = [var.endpoint]
}
