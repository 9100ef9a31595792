output "repository_url" {
  description = "Where to push the worker's image."
  value       = aws_ecr_repository.this.repository_url
}

output "cluster_name" {
  description = "ECS cluster."
  value       = aws_ecs_cluster.this.name
}

output "service_name" {
  description = "ECS service; null while there is no image."
  value       = one(concat(aws_ecs_service.fixed[*].name, aws_ecs_service.scaled[*].name))
}

output "task_role_arn" {
  description = "Role of the workers: what a target account's role trusts."
  value       = aws_iam_role.task.arn
}

output "log_group_name" {
  description = "Log group of the workers."
  value       = aws_cloudwatch_log_group.this.name
}

output "security_group_id" {
  description = "Security group of the workers."
  value       = aws_security_group.this.id
}
