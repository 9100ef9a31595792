output "arns" {
  description = "Activity ARNs by contract name: the value of TIDEGATE_ACTIVITY_ARNS."
  value       = { for name, activity in aws_sfn_activity.this : name => activity.id }
}
