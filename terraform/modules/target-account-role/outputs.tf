output "role_arn" {
  description = "The role: accountRole of the plan's groups, and one of target_role_arns of the control plane."
  value       = aws_iam_role.this.arn
}

output "policies" {
  description = "What the role may do, as JSON by the name of the template."
  value       = local.policies
}
