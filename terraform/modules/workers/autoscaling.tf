# Tasks are added while work waits: ActivityScheduleTime is how long a task lay in its activity before a worker took it. It
# is measured when a worker takes it, so it does not see that no worker is left; the module observability has that alarm.

locals {
  scales = var.image != null && var.autoscaling != null
  waits  = { for index, name in sort(keys(var.activity_arns)) : "wait${index}" => var.activity_arns[name] }
}

resource "aws_appautoscaling_target" "this" {
  count = local.scales ? 1 : 0

  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.scaled[0].name}"
  min_capacity       = var.desired_count
  max_capacity       = var.autoscaling.max_count

  lifecycle {
    precondition {
      condition     = var.autoscaling.max_count > var.desired_count
      error_message = "autoscaling.max_count is ${var.autoscaling.max_count}, which leaves nothing to add to desired_count ${var.desired_count}."
    }
  }
}

resource "aws_appautoscaling_policy" "this" {
  for_each = local.scales ? { out = 1, in = -1 } : {}

  name               = "${local.service_name}-${each.key}"
  policy_type        = "StepScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.this[0].resource_id

  step_scaling_policy_configuration {
    adjustment_type         = "ChangeInCapacity"
    metric_aggregation_type = "Maximum"
    cooldown                = each.key == "out" ? 60 : 600

    step_adjustment {
      scaling_adjustment          = each.value
      metric_interval_lower_bound = each.key == "out" ? "0" : null
      metric_interval_upper_bound = each.key == "out" ? null : "0"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "wait" {
  for_each = local.scales ? { out = 2, in = 30 } : {}

  alarm_name          = "${local.service_name}-scale-${each.key}"
  alarm_description   = each.key == "out" ? "Tasks wait for a worker: one more is started." : "For half an hour no task waited: one worker less."
  comparison_operator = each.key == "out" ? "GreaterThanThreshold" : "LessThanOrEqualToThreshold"
  threshold           = var.autoscaling.wait_seconds * 1000
  evaluation_periods  = each.value
  # Nothing measured is nothing to do: out is not wanted, in is.
  treat_missing_data = each.key == "out" ? "notBreaching" : "breaching"
  alarm_actions      = [aws_appautoscaling_policy.this[each.key].arn]

  metric_query {
    id          = "longest"
    expression  = "MAX([${join(", ", [for id in keys(local.waits) : "FILL(${id}, 0)"])}])"
    label       = "Longest wait for a worker (ms)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.waits
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/States"
        metric_name = "ActivityScheduleTime"
        stat        = "Maximum"
        period      = 60
        dimensions  = { ActivityArn = metric_query.value }
      }
    }
  }
}
