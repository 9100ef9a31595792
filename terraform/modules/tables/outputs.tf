output "names" {
  description = "Table names by contract key: the value of TIDEGATE_TABLES."
  value       = { for key, table in aws_dynamodb_table.this : key => table.name }
}

output "arns" {
  description = "Table ARNs by contract key."
  value       = { for key, table in aws_dynamodb_table.this : key => table.arn }
}
