output "plans" {
  description = "Plans by id: id, name, text, and the prefix of their attributes."
  value       = local.plans
}

output "protection_groups" {
  description = "Protection groups by id, likewise."
  value       = local.protection_groups
}

output "problems" {
  description = "What is wrong with the documents, a sentence each; empty when they can be used."
  value       = local.problems
}
