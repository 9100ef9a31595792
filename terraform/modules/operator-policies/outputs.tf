output "policy_arns" {
  description = "Managed policies by task: start, approve, request, reconcile, read-only."
  value       = { for task, policy in aws_iam_policy.this : task => policy.arn }
}

output "attributes_without_gate" {
  description = "What those who may not see the gate can read of a record: a ProjectionExpression with exactly these, or fewer, is allowed."
  value       = sort(local.open_attributes)
}
