# The service twice, of which there is at most one: who decides about the number of tasks differs, and a lifecycle block
# cannot depend on a variable. Moving from one to the other replaces the service; what its tasks have in hand they end or give back.

resource "aws_ecs_service" "fixed" {
  count = var.image != null && var.autoscaling == null ? 1 : 0

  name                               = local.service_name
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.this[0].arn
  launch_type                        = "FARGATE"
  desired_count                      = var.desired_count
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  availability_zone_rebalancing      = "ENABLED"
  propagate_tags                     = "SERVICE"
  enable_ecs_managed_tags            = true
  wait_for_steady_state              = var.wait_for_steady_state

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = var.assign_public_ip
  }

  # A task that starts before its roles may do anything fails its first calls and trips the circuit breaker.
  depends_on = [aws_iam_role_policy_attachment.task, aws_iam_role_policy_attachment.additional, aws_iam_role_policy.execution, aws_vpc_security_group_egress_rule.blocks]
}

resource "aws_ecs_service" "scaled" {
  count = var.image != null && var.autoscaling != null ? 1 : 0

  # Of its own: while the other one drains, ECS refuses a second service of its name in the cluster.
  name                               = "${local.service_name}-scaled"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.this[0].arn
  launch_type                        = "FARGATE"
  desired_count                      = var.desired_count
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  availability_zone_rebalancing      = "ENABLED"
  propagate_tags                     = "SERVICE"
  enable_ecs_managed_tags            = true
  wait_for_steady_state              = var.wait_for_steady_state

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = var.assign_public_ip
  }

  lifecycle {
    ignore_changes = [desired_count]
  }

  depends_on = [aws_iam_role_policy_attachment.task, aws_iam_role_policy_attachment.additional, aws_iam_role_policy.execution, aws_vpc_security_group_egress_rule.blocks]
}
