output "topic_arn" {
  description = "Topic of all notifications; alarms use it too."
  value       = aws_sns_topic.this.arn
}

output "undelivered_queue_name" {
  description = "Queue of events that no target took, for the alarm on its depth."
  value       = aws_sqs_queue.undelivered.name
}

output "undelivered_queue_arn" {
  description = "ARN of that queue."
  value       = aws_sqs_queue.undelivered.arn
}

output "rule_names" {
  description = "EventBridge rules by what they announce, the reconcile rule included."
  value       = merge({ for name, rule in aws_cloudwatch_event_rule.told : name => rule.name }, { reconcile = aws_cloudwatch_event_rule.reconcile.name })
}

output "reconcile_event_pattern" {
  description = "Pattern of the reconcile rule, to compare it with the one of the local deploy."
  value       = aws_cloudwatch_event_rule.reconcile.event_pattern
}
