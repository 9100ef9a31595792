variable "plans" {
  description = "Recovery plans: JSON text by file name."
  type        = map(string)
  default     = {}
}

variable "protection_groups" {
  description = "Protection groups: JSON text by file name."
  type        = map(string)
  default     = {}
}

variable "plans_table" {
  description = "Table of the recovery plans, with its key."
  type        = object({ name = string, hash_key = string })
}

variable "protection_groups_table" {
  description = "Table of the protection groups, with its key."
  type        = object({ name = string, hash_key = string })
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
