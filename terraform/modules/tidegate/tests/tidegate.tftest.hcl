# The whole composition, with AWS mocked.

mock_provider "aws" {
  source = "../testing"
}

override_resource {
  target = module.state_machine["recovery"].aws_sfn_state_machine.this
  values = {
    arn                       = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-x-recovery"
    state_machine_version_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-x-recovery:1"
  }
}

override_resource {
  target = module.state_machine["reconcile"].aws_sfn_state_machine.this
  values = {
    arn                       = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-x-reconcile"
    state_machine_version_arn = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-x-reconcile:1"
  }
}

override_resource {
  target = module.tables.aws_dynamodb_table.this["executionHistory"]
  values = { arn = "arn:aws:dynamodb:us-west-2:111122223333:table/tidegate-x-execution-history" }
}

override_resource {
  target = module.activities.aws_sfn_activity.this["prepare-execution-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-prepare-execution-v1" }
}

override_resource {
  target = module.activities.aws_sfn_activity.this["start-wave-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v1" }
}

override_resource {
  target = module.activities.aws_sfn_activity.this["poll-wave-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-poll-wave-v1" }
}

override_resource {
  target = module.activities.aws_sfn_activity.this["finalize-execution-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-finalize-execution-v1" }
}

override_resource {
  target = module.activities.aws_sfn_activity.this["start-cleanup-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-cleanup-v1" }
}

override_resource {
  target = module.activities.aws_sfn_activity.this["poll-cleanup-v1"]
  values = { id = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-poll-cleanup-v1" }
}

override_data {
  target = module.workers[0].data.aws_subnet.this["subnet-0123456789abcdef0"]
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2a" }
}

override_data {
  target = module.workers[0].data.aws_subnet.this["subnet-0123456789abcdef1"]
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2b" }
}

variables {
  name_prefix       = "tidegate-x"
  region            = "us-west-2"
  protected_regions = ["us-east-1"]
  workers = {
    image      = "111122223333.dkr.ecr.us-west-2.amazonaws.com/tidegate-x-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
  }
}

# FR-8.9: what people and other stacks need is told.
run "a_deployment_tells_its_names" {
  assert {
    condition     = toset(keys(output.state_machine_alias_arns)) == toset(["recovery", "reconcile"]) && length(output.activity_arns) == 6 && length(output.table_names) == 7
    error_message = "Both machines, six activities, seven tables."
  }
  assert {
    condition     = toset(keys(output.env)) == toset(["AWS_REGION", "TIDEGATE_ACTIVITY_ARNS", "TIDEGATE_RECONCILE_ARN", "TIDEGATE_STATE_MACHINE_ARN", "TIDEGATE_TABLES", "TIDEGATE_TAG_JOBS"])
    error_message = "The environment is complete."
  }
  assert {
    condition     = jsondecode(output.env.TIDEGATE_ACTIVITY_ARNS) == output.activity_arns && jsondecode(output.env.TIDEGATE_TABLES) == output.table_names
    error_message = "ARNs and table names are JSON maps by contract names."
  }
  assert {
    condition     = output.env.TIDEGATE_STATE_MACHINE_ARN == output.state_machine_alias_arns["recovery"] && endswith(output.env.TIDEGATE_STATE_MACHINE_ARN, ":live")
    error_message = "Executions are started through the alias."
  }
  assert {
    condition     = strcontains(output.env_lines, "export TIDEGATE_TABLES='{") && length(split("\n", output.env_lines)) == 6
    error_message = "One line per variable, quoted for a shell."
  }
  assert {
    condition     = toset(keys(output.log_group_names)) == toset(["recovery-machine", "reconcile-machine", "worker"])
    error_message = "The log groups of machines and workers."
  }
  assert {
    condition     = toset(keys(output.operator_policy_arns)) == toset(["start", "approve", "request", "reconcile", "read-only"])
    error_message = "A policy per task of a person."
  }
  assert {
    condition     = output.worker.repository_url != null && length(output.plan_ids) == 0
    error_message = "Workers are there; plans come from files, of which none is given."
  }
}

run "workers_can_run_elsewhere" {
  variables {
    workers_enabled = false
    workers         = null
    tag_jobs        = true
  }

  assert {
    condition     = output.env.TIDEGATE_TAG_JOBS == "true" && strcontains(output.worker_policies["drs-launch"], "drs:TagResource")
    error_message = "A worker elsewhere tags when the deployment's policies let it, and not else."
  }

  assert {
    condition     = output.worker == null && toset(keys(output.worker_policies)) == toset(["worker", "drs-observe", "drs-launch", "drs-actions", "drs-cleanup"])
    error_message = "No service; what its role must allow is told."
  }
  assert {
    condition     = !contains(keys(output.log_group_names), "worker")
    error_message = "No log group of workers."
  }
}

run "plans_come_from_files" {
  variables {
    catalogue_path = "../../../statemachine/inputs"
  }

  assert {
    condition     = contains(output.plan_ids, "crm")
    error_message = "The plan of the examples can be started."
  }
}

# What misses polls begins with the apply that starts workers: the first one, without an image, would raise six alarms.
run "before_the_first_image_nothing_is_missed" {
  variables {
    workers = {
      vpc_id     = "vpc-0123456789abcdef0"
      subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    }
  }

  assert {
    condition     = length([for name in keys(module.observability[0].alarm_metrics) : name if startswith(name, "no-polls-") || name == "workers-missing"]) == 0
    error_message = "Workers are missed before there is an image to run."
  }
}

run "a_key_of_its_own_is_used_everywhere" {
  variables {
    encryption_key_enabled = true
  }

  assert {
    condition     = strcontains(output.worker_policies["worker"], "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d")
    error_message = "The worker may use the key of the tables."
  }
}

run "refuses_workers_without_a_network" {
  command = plan
  variables {
    workers = null
  }
  expect_failures = [var.workers_enabled]
}

run "refuses_to_know_no_protected_region" {
  command = plan
  variables {
    protected_regions = []
  }
  expect_failures = [var.protected_regions]
}

run "refuses_an_empty_catalogue" {
  command = plan
  variables {
    catalogue_path = "../../../statemachine"
  }
  expect_failures = [var.catalogue_path]
}

run "refuses_two_keys" {
  command = plan
  variables {
    encryption_key_enabled = true
    kms_key_arn            = "arn:aws:kms:us-west-2:111122223333:key/0a1b2c3d"
  }
  expect_failures = [var.encryption_key_enabled]
}

run "refuses_endpoints_without_workers" {
  command = plan
  variables {
    workers_enabled = false
    vpc_endpoints   = { route_table_ids = ["rtb-0123456789abcdef0"] }
  }
  expect_failures = [var.vpc_endpoints]
}
