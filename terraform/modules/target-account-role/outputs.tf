output "role_arn" {
  description = "The role: role_arn of this account in target_accounts of the control plane."
  value       = aws_iam_role.this.arn
}

output "policies" {
  description = "What the role may do, as JSON by the name of the template."
  value       = local.policies
}
