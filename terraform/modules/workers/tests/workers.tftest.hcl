mock_provider "aws" {
  source = "../testing"
}

variables {
  name_prefix = "tidegate-x"
  names = {
    repository_name     = "tidegate-x-worker"
    log_group_name      = "/tidegate/tidegate-x/worker"
    task_role_name      = "tidegate-x-worker-task"
    execution_role_name = "tidegate-x-worker-execution"
  }
  region           = "us-west-2"
  trust_policy     = "{\"Statement\":[]}"
  task_policies    = { worker = "{\"Statement\":[]}" }
  execution_policy = "{\"Statement\":[]}"
  activity_arns = {
    poll-wave-v1  = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-poll-wave-v1"
    start-wave-v1 = "arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v1"
  }
  table_names = { executionHistory = "tidegate-x-execution-history" }
  reach       = { TIDEGATE_REGIONS = "us-west-2", TIDEGATE_TARGET_ACCOUNTS = "{}" }
  image       = "111122223333.dkr.ecr.us-west-2.amazonaws.com/tidegate-x-worker@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  vpc_id      = "vpc-0123456789abcdef0"
  subnet_ids  = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
}

override_data {
  target = data.aws_subnet.this["subnet-0123456789abcdef0"]
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2a" }
}

override_data {
  target = data.aws_subnet.this["subnet-0123456789abcdef1"]
  values = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2b" }
}

run "the_container_is_locked_down_and_can_drain" {
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].readonlyRootFilesystem && jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].user == "65532:65532" && jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].linuxParameters.capabilities.drop == ["ALL"]
    error_message = "Read-only root, no root user, no capabilities."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].stopTimeout == 120
    error_message = "The stop timeout is longer than a drain."
  }
  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].healthCheck.command == ["CMD", "/usr/local/bin/tidegate-worker", "healthcheck"]
    error_message = "The worker checks itself."
  }
  assert {
    condition = { for entry in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].environment : entry.name => entry.value if startswith(entry.name, "TIDEGATE_") } == {
      TIDEGATE_ACTIVITY_ARNS   = "{\"poll-wave-v1\":\"arn:aws:states:us-west-2:111122223333:activity:tidegate-x-poll-wave-v1\",\"start-wave-v1\":\"arn:aws:states:us-west-2:111122223333:activity:tidegate-x-start-wave-v1\"}"
      TIDEGATE_HEALTH_ADDR     = "127.0.0.1:8089"
      TIDEGATE_LOG             = "info"
      TIDEGATE_POLLERS         = "4"
      TIDEGATE_REGIONS         = "us-west-2"
      TIDEGATE_SLOTS           = "16"
      TIDEGATE_TABLES          = "{\"executionHistory\":\"tidegate-x-execution-history\"}"
      TIDEGATE_TAG_JOBS        = "false"
      TIDEGATE_TARGET_ACCOUNTS = "{}"
    }
    error_message = "The worker is told what it reads."
  }
  # Two defaults of one thing; a Terraform that turned on what the worker leaves off would do so unseen.
  assert {
    condition     = strcontains(file("../../../workers/worker/src/config.rs"), "env = \"TIDEGATE_TAG_JOBS\", default_value_t = ${var.tag_jobs},")
    error_message = "tag_jobs and the worker's own default differ."
  }
}

run "the_service_survives_a_bad_image_and_a_lost_zone" {
  command = plan

  assert {
    condition     = one(aws_ecs_service.fixed[0].deployment_circuit_breaker).rollback && aws_ecs_service.fixed[0].deployment_minimum_healthy_percent == 100
    error_message = "A deployment that fails is rolled back, and old tasks stay until new ones are healthy."
  }
  assert {
    condition     = aws_ecs_service.fixed[0].desired_count == 2 && length(one(aws_ecs_service.fixed[0].network_configuration).subnets) == 2 && !one(aws_ecs_service.fixed[0].network_configuration).assign_public_ip
    error_message = "Two tasks in two private subnets."
  }
  assert {
    condition     = length(aws_ecs_service.scaled) == 0 && length(aws_appautoscaling_target.this) == 0
    error_message = "Autoscaling is off unless asked for."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_egress_rule.blocks : "${rule.ip_protocol}/${rule.from_port}-${rule.to_port}"] == ["tcp/443-443"]
    error_message = "A worker connects by HTTPS only."
  }
  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE" && one(aws_ecr_repository.this.image_scanning_configuration).scan_on_push
    error_message = "Tags are never moved, and images are scanned."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "The log is kept for 30 days."
  }
}

run "task_and_execution_role_are_two" {
  command = plan

  assert {
    condition     = aws_iam_role.task.name == "tidegate-x-worker-task" && aws_iam_role.execution.name == "tidegate-x-worker-execution"
    error_message = "Two roles."
  }
}

run "without_an_image_there_is_a_place_to_push_it_to" {
  command = plan
  variables {
    image = null
  }

  assert {
    condition     = length(aws_ecs_task_definition.this) == 0 && length(aws_ecs_service.fixed) == 0 && aws_ecr_repository.this.name == "tidegate-x-worker"
    error_message = "A repository, and nothing that would try to run."
  }
}

run "autoscaling_adds_workers_while_work_waits" {
  command = plan
  variables {
    autoscaling = { max_count = 6 }
  }

  assert {
    condition     = aws_appautoscaling_target.this[0].min_capacity == 2 && aws_appautoscaling_target.this[0].max_capacity == 6 && length(aws_ecs_service.fixed) == 0
    error_message = "Between desired_count and max_count."
  }
  assert {
    condition     = aws_ecs_service.scaled[0].name != run.the_service_survives_a_bad_image_and_a_lost_zone.service_name && output.service_name == "tidegate-x-worker-scaled"
    error_message = "ECS refuses a second service of one name while the first drains."
  }
  assert {
    condition     = one([for query in aws_cloudwatch_metric_alarm.wait["out"].metric_query : query.expression if query.return_data == true]) == "MAX([FILL(wait0, 0), FILL(wait1, 0)])" && aws_cloudwatch_metric_alarm.wait["out"].threshold == 5000
    error_message = "The longest wait of any activity decides."
  }
}

run "a_prefix_list_can_be_reached" {
  command = plan
  variables {
    egress_cidr_blocks     = ["10.0.0.0/16"]
    egress_prefix_list_ids = ["pl-0123456789abcdef0"]
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_egress_rule.blocks : rule.cidr_ipv4] == ["10.0.0.0/16"] && [for rule in aws_vpc_security_group_egress_rule.prefix_lists : rule.prefix_list_id] == ["pl-0123456789abcdef0"]
    error_message = "Egress can be limited to endpoints."
  }
}

run "refuses_a_prefix_in_capitals" {
  command = plan
  variables {
    name_prefix = "Tidegate"
  }
  expect_failures = [var.name_prefix]
}

run "refuses_one_role_for_both" {
  command = plan
  variables {
    names = { repository_name = "r", log_group_name = "l", task_role_name = "same", execution_role_name = "same" }
  }
  expect_failures = [var.names]
}

run "refuses_a_trust_policy_that_is_none" {
  command = plan
  variables {
    trust_policy = "{}"
  }
  expect_failures = [var.trust_policy]
}

run "a_company_may_add_policies" {
  command = plan
  variables {
    additional_task_policies = { create-image = "arn:aws:iam::111122223333:policy/create-image" }
  }

  assert {
    condition     = { for name, one in aws_iam_role_policy_attachment.additional : name => one.policy_arn } == { create-image = "arn:aws:iam::111122223333:policy/create-image" }
    error_message = "The company's policy is attached to the worker's role."
  }
  assert {
    condition     = { for name, one in aws_iam_policy.task : name => one.name } == { worker = "tidegate-x-worker-task-worker" } && keys(aws_iam_role_policy_attachment.task) == ["worker"]
    error_message = "It comes beside the worker's own."
  }
}

run "refuses_a_policy_that_is_no_arn" {
  command = plan
  variables {
    additional_task_policies = { create-image = "{\"Statement\":[]}" }
  }
  expect_failures = [var.additional_task_policies]
}

run "refuses_more_policies_than_a_role_takes" {
  command = plan
  variables {
    additional_task_policies = { for number in range(10) : tostring(number) => "arn:aws:iam::111122223333:policy/p${number}" }
  }
  expect_failures = [var.additional_task_policies]
}

run "refuses_no_task_policies" {
  command = plan
  variables {
    task_policies = {}
  }
  expect_failures = [var.task_policies]
}

run "refuses_an_execution_policy_that_is_none" {
  command = plan
  variables {
    execution_policy = "{}"
  }
  expect_failures = [var.execution_policy]
}

run "refuses_what_is_no_activity" {
  command = plan
  variables {
    activity_arns = { a = "x" }
  }
  expect_failures = [var.activity_arns]
}

run "refuses_no_tables" {
  command = plan
  variables {
    table_names = {}
  }
  expect_failures = [var.table_names]
}

run "refuses_an_image_by_tag" {
  command = plan
  variables {
    image = "111122223333.dkr.ecr.us-west-2.amazonaws.com/tidegate-x-worker:latest"
  }
  expect_failures = [var.image]
}

run "refuses_a_vpc_that_is_none" {
  command = plan
  variables {
    vpc_id = "main"
  }
  expect_failures = [var.vpc_id]
}

run "refuses_one_subnet" {
  command = plan
  variables {
    subnet_ids = ["subnet-0123456789abcdef0"]
  }
  expect_failures = [var.subnet_ids]
}

run "refuses_an_address_for_a_block" {
  command = plan
  variables {
    egress_cidr_blocks = ["everywhere"]
  }
  expect_failures = [var.egress_cidr_blocks]
}

run "refuses_a_prefix_list_that_is_none" {
  command = plan
  variables {
    egress_prefix_list_ids = ["dynamodb"]
  }
  expect_failures = [var.egress_prefix_list_ids]
}

run "refuses_a_cpu_fargate_does_not_have" {
  command = plan
  variables {
    cpu = 300
  }
  expect_failures = [var.cpu]
}

run "refuses_half_a_mebibyte" {
  command = plan
  variables {
    memory = 1024.5
  }
  expect_failures = [var.memory]
}

run "refuses_an_unknown_architecture" {
  command = plan
  variables {
    cpu_architecture = "RISCV"
  }
  expect_failures = [var.cpu_architecture]
}

run "refuses_no_tasks" {
  command = plan
  variables {
    desired_count = 0
  }
  expect_failures = [var.desired_count]
}

run "refuses_a_stop_timeout_over_fargates" {
  command = plan
  variables {
    stop_timeout = 121
  }
  expect_failures = [var.stop_timeout]
}

run "refuses_no_pollers" {
  command = plan
  variables {
    pollers = 0
  }
  expect_failures = [var.pollers]
}

run "refuses_no_slots" {
  command = plan
  variables {
    slots = 0
  }
  expect_failures = [var.slots]
}

run "refuses_a_log_filter_with_spaces" {
  command = plan
  variables {
    log_filter = "info and more"
  }
  expect_failures = [var.log_filter]
}

run "refuses_a_retention_cloudwatch_does_not_know" {
  command = plan
  variables {
    log_retention_days = 31
  }
  expect_failures = [var.log_retention_days]
}

run "refuses_a_key_alias" {
  command = plan
  variables {
    kms_key_arn = "alias/x"
  }
  expect_failures = [var.kms_key_arn]
}

run "refuses_to_keep_one_image" {
  command = plan
  variables {
    kept_images = 1
  }
  expect_failures = [var.kept_images]
}

run "refuses_autoscaling_to_one" {
  command = plan
  variables {
    autoscaling = { max_count = 1 }
  }
  expect_failures = [var.autoscaling]
}

run "refuses_half_a_second" {
  command = plan
  variables {
    stop_timeout = 100.5
  }
  expect_failures = [var.stop_timeout]
}

run "refuses_half_a_poller" {
  command = plan
  variables {
    pollers = 1.5
  }
  expect_failures = [var.pollers]
}

run "refuses_half_a_slot" {
  command = plan
  variables {
    slots = 1.5
  }
  expect_failures = [var.slots]
}

run "refuses_half_an_image" {
  command = plan
  variables {
    kept_images = 2.5
  }
  expect_failures = [var.kept_images]
}

run "refuses_half_a_task" {
  command = plan
  variables {
    autoscaling = { max_count = 2.5 }
  }
  expect_failures = [var.autoscaling]
}

run "refuses_a_pair_fargate_does_not_have" {
  command = plan
  variables {
    cpu    = 256
    memory = 4096
  }
  expect_failures = [aws_ecs_task_definition.this]
}

run "refuses_a_stop_timeout_shorter_than_a_drain" {
  command = plan
  variables {
    stop_timeout = 90
  }
  expect_failures = [aws_ecs_task_definition.this]
}

run "refuses_autoscaling_with_nothing_to_add" {
  command = plan
  variables {
    desired_count = 4
    autoscaling   = { max_count = 4 }
  }
  expect_failures = [aws_appautoscaling_target.this]
}

run "refuses_subnets_in_one_zone" {
  command = plan
  override_data {
    target = data.aws_subnet.this["subnet-0123456789abcdef1"]
    values = { vpc_id = "vpc-0123456789abcdef0", availability_zone = "us-west-2a" }
  }
  expect_failures = [aws_ecs_task_definition.this]
}

run "refuses_subnets_of_another_vpc" {
  command = plan
  override_data {
    target = data.aws_subnet.this["subnet-0123456789abcdef1"]
    values = { vpc_id = "vpc-0fedcba9876543210", availability_zone = "us-west-2b" }
  }
  expect_failures = [aws_ecs_task_definition.this]
}

run "refuses_workers_that_are_not_told_where_they_may_recover" {
  command = plan
  variables {
    reach = { TIDEGATE_REGIONS = "", TIDEGATE_TARGET_ACCOUNTS = "{}" }
  }
  expect_failures = [var.reach]
}
