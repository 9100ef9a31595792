locals {
  describe = { for name, alarm in merge(local.plain, local.task_waits) : name => "${alarm.says} ${var.docs_url}#alarm-${alarm.section}" }
}

resource "aws_cloudwatch_metric_alarm" "plain" {
  for_each = { for name, alarm in local.plain : name => alarm if var.create_alarms }

  alarm_name          = "${var.name_prefix}-${each.key}"
  alarm_description   = local.describe[each.key]
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.stat
  dimensions          = each.value.dimensions
  period              = try(each.value.period, 300)
  evaluation_periods  = try(each.value.periods, 1)
  threshold           = try(each.value.threshold, 1)
  comparison_operator = try(each.value.compare, "GreaterThanOrEqualToThreshold")
  # Counts of bad things are absent when there are none; signs of life are missed when they are.
  treat_missing_data = try(each.value.missing, "notBreaching")
  alarm_actions      = var.alarm_topic_arns
  ok_actions         = var.alarm_topic_arns
  tags               = var.tags
}

resource "aws_cloudwatch_metric_alarm" "task_waits" {
  for_each = { for name, alarm in local.task_waits : name => alarm if var.create_alarms }

  alarm_name        = "${var.name_prefix}-${each.key}"
  alarm_description = local.describe[each.key]
  # A task is scheduled once and then only waits, so its period is the only one that breaches. One of twelve keeps the alarm
  # up for an hour; with one of one it would say "over" five minutes later, and the execution still stands.
  evaluation_periods  = 12
  datapoints_to_alarm = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags

  metric_query {
    id          = "waits"
    expression  = each.value.math
    label       = "tasks wait"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id          = metric_query.key
      return_data = false

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        stat        = metric_query.value.stat
        # Wide, so that a task scheduled in one period and taken in the next is rare; it would be a false alarm.
        period = 300
      }
    }
  }
}
