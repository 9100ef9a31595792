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

variable "account_ids" {
  description = "Accounts the workers get to: an accountId of a plan must be one of them. Null: not asked."
  type        = set(string)
  default     = null
}

variable "recovery_regions" {
  description = "Regions the workers recover in: a region of a plan must be one of them. Null: not asked."
  type        = set(string)
  default     = null
}
