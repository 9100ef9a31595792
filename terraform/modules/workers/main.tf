# The workers: an ECS service on Fargate in at least two zones, with a role for what the worker does and another for what
# ECS does to start it. Nothing reaches a worker from outside; it only polls.

locals {
  # What Fargate pairs with each CPU size, in MiB (ECS developer guide, task size).
  memory_sizes = {
    256  = [512, 1024, 2048]
    512  = range(1024, 4096 + 1, 1024)
    1024 = range(2048, 8192 + 1, 1024)
    2048 = range(4096, 16384 + 1, 1024)
    4096 = range(8192, 30720 + 1, 1024)
  }

  # WorkerOptions::drain_bound() of workers/runtime: a poll in flight is waited out (75 s) and what it brings is answered
  # (15 s). A test there holds this figure.
  drain_seconds = 90

  # Everything workers/worker/src/config.rs reads, but HOSTNAME, which the container has.
  environment = {
    AWS_REGION               = var.region
    TIDEGATE_ACTIVITY_ARNS   = jsonencode(var.activity_arns)
    TIDEGATE_HEALTH_ADDR     = "127.0.0.1:8089"
    TIDEGATE_LOG             = var.log_filter
    TIDEGATE_POLLERS         = tostring(var.pollers)
    TIDEGATE_REGIONS         = var.reach["TIDEGATE_REGIONS"]
    TIDEGATE_SLOTS           = tostring(var.slots)
    TIDEGATE_TABLES          = jsonencode(var.table_names)
    TIDEGATE_TAG_JOBS        = tostring(var.tag_jobs)
    TIDEGATE_TARGET_ACCOUNTS = var.reach["TIDEGATE_TARGET_ACCOUNTS"]
  }

  container = {
    name                   = "worker"
    image                  = var.image
    essential              = true
    command                = ["run"]
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    stopTimeout            = var.stop_timeout
    environment            = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    healthCheck = {
      # The worker's own subcommand: the image has neither shell nor curl. It fails when a poll loop hangs, never because
      # AWS answers badly, so an outage of an API does not restart workers.
      command     = ["CMD", "/usr/local/bin/tidegate-worker", "healthcheck"]
      interval    = 15
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "worker"
        # A blocked log must not block a worker that holds tasks.
        mode            = "non-blocking"
        max-buffer-size = "4m"
      }
    }
    # ECS fills these in itself; said here so that a plan does not show them as drift.
    mountPoints    = []
    portMappings   = []
    systemControls = []
    volumesFrom    = []
  }

  service_name = "${var.name_prefix}-worker"
}

data "aws_subnet" "this" {
  for_each = var.subnet_ids

  id = each.value
}

resource "aws_iam_role" "task" {
  name               = var.names.task_role_name
  description        = "Tidegate: what a worker may do."
  assume_role_policy = var.trust_policy
}

# Managed and not inline: a role's inline policies may have 10,240 characters together, a managed one 6,144 of its own.
resource "aws_iam_policy" "task" {
  for_each = var.task_policies

  name        = "${var.names.task_role_name}-${each.key}"
  description = "Tidegate's workers: ${each.key}."
  policy      = each.value
}

resource "aws_iam_role_policy_attachment" "task" {
  for_each = var.task_policies

  role       = aws_iam_role.task.name
  policy_arn = aws_iam_policy.task[each.key].arn
}

resource "aws_iam_role_policy_attachment" "additional" {
  for_each = var.additional_task_policies

  role       = aws_iam_role.task.name
  policy_arn = each.value
}

resource "aws_iam_role" "execution" {
  name               = var.names.execution_role_name
  description        = "Tidegate: what ECS may do to start a worker."
  assume_role_policy = var.trust_policy
}

resource "aws_iam_role_policy" "execution" {
  name   = "start-a-worker"
  role   = aws_iam_role.execution.name
  policy = var.execution_policy
}

resource "aws_cloudwatch_log_group" "this" {
  name              = var.names.log_group_name
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_ecs_cluster" "this" {
  name = var.name_prefix

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_security_group" "this" {
  name        = "${var.name_prefix}-worker"
  description = "Tidegate workers: HTTPS out, nothing in"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "blocks" {
  for_each = var.egress_cidr_blocks

  security_group_id = aws_security_group.this.id
  description       = "HTTPS to AWS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_egress_rule" "prefix_lists" {
  for_each = var.egress_prefix_list_ids

  security_group_id = aws_security_group.this.id
  description       = "HTTPS to AWS behind gateway endpoints"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = each.value
}

resource "aws_ecs_task_definition" "this" {
  count = var.image == null ? 0 : 1

  family                   = local.service_name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = jsonencode([local.container])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  lifecycle {
    precondition {
      condition     = contains(local.memory_sizes[var.cpu], var.memory)
      error_message = "Fargate has no task of ${var.cpu} CPU units with ${var.memory} MiB; choose one of ${join(", ", local.memory_sizes[var.cpu])} MiB."
    }
    precondition {
      condition     = var.stop_timeout > local.drain_seconds
      error_message = "stop_timeout is ${var.stop_timeout} s, but a worker drains for up to ${local.drain_seconds} s (its longest poll and the answer to what that brings): it would be killed with a task in hand."
    }
    precondition {
      condition     = length(distinct([for subnet in data.aws_subnet.this : subnet.availability_zone])) >= 2
      error_message = "The subnets lie in one Availability Zone; give subnets in two, so that the loss of one does not stop a recovery."
    }
    precondition {
      condition     = alltrue([for subnet in data.aws_subnet.this : subnet.vpc_id == var.vpc_id])
      error_message = "A subnet lies in another VPC than ${var.vpc_id}."
    }
  }
}
