variable "plans" {
  description = "Recovery plans: JSON text by file name (statemachine/contract/schemas/plan.schema.json)."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for text in var.plans : can(keys(jsondecode(text)))])
    error_message = "Not a JSON object: ${join(", ", [for file, text in var.plans : file if !can(keys(jsondecode(text)))])}."
  }
}

variable "protection_groups" {
  description = "Protection groups: JSON text by file name (statemachine/contract/schemas/protection-group.schema.json)."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for text in var.protection_groups : can(keys(jsondecode(text)))])
    error_message = "Not a JSON object: ${join(", ", [for file, text in var.protection_groups : file if !can(keys(jsondecode(text)))])}."
  }
}

variable "target_role_arns" {
  description = "Roles that the workers may assume: an accountRole of a plan must be one of them."
  type        = set(string)
  default     = []
}
