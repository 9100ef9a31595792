output "policy_arns" {
  description = "Managed policies by task: start, approve, request, reconcile, read-only."
  value       = { for task, policy in aws_iam_policy.this : task => policy.arn }
}
