output "key_arn" {
  description = "The key: kms_key_arn of the other modules."
  value       = aws_kms_key.this.arn
}

output "alias_name" {
  description = "Alias of the key."
  value       = aws_kms_alias.this.name
}
