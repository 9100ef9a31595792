output "alarm_arns" {
  description = "Every alarm's ARN by its name without the prefix."
  value = merge(
    { for name, alarm in aws_cloudwatch_metric_alarm.plain : name => alarm.arn },
    { for name, alarm in aws_cloudwatch_metric_alarm.task_waits : name => alarm.arn },
  )
}

output "alarm_sections" {
  description = "Sections of docs/troubleshooting.md that the alarms name."
  value       = toset([for alarm in merge(local.plain, local.task_waits) : alarm.section])
}

output "alarm_metrics" {
  description = "What each alarm watches by its name: lists of namespace, metric and dimensions."
  value = merge(
    { for name, alarm in local.plain : name => [[alarm.namespace, alarm.metric, jsonencode(alarm.dimensions)]] },
    { for name, alarm in local.task_waits : name => [for metric in values(alarm.metrics) : [metric.namespace, metric.name, jsonencode(metric.dimensions)]] },
  )
}

output "queries" {
  description = "The Logs Insights queries by name."
  value       = local.queries
}

output "dashboard_name" {
  description = "The dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "pause_watch_arn" {
  description = "The machine that watches open gates."
  value       = aws_sfn_state_machine.pause_watch.arn
}
