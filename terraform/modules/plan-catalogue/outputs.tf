output "plan_ids" {
  description = "Plans that can be started."
  value       = sort([for item in aws_dynamodb_table_item.plan : jsondecode(item.item).planId.S])
}

output "protection_group_ids" {
  description = "Protection groups that plans can name."
  value       = sort([for item in aws_dynamodb_table_item.protection_group : jsondecode(item.item).groupId.S])
}

output "versions" {
  description = "Version of each document (plan/<id>, group/<id>): when it changed last, as digits."
  value       = { for key, item in local.items : key => jsondecode(item).version.N }
}
