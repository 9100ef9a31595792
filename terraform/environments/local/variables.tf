variable "endpoint" {
  description = "Where the local stack answers for every service (`make local-up`)."
  type        = string
  default     = "http://127.0.0.1:4566"

  validation {
    # Only loopback: with dummy credentials nothing else could answer, and nothing else should be asked.
    condition     = can(regex("^http://(127\\.0\\.0\\.1|localhost|\\[::1\\]):[0-9]{1,5}$", var.endpoint))
    error_message = "endpoint must be a loopback URL with a port, such as http://127.0.0.1:4566."
  }
}

variable "name_prefix" {
  description = "Stands before every name. Other than tidegate-local, which the stack's own deploy has taken."
  type        = string
  default     = "tidegate-tf"
}

variable "region" {
  description = "Region the local stack plays."
  type        = string
  default     = "us-west-2"
}

variable "catalogue_path" {
  description = "Folder with plans/*.json and protection-groups/*.json; null: the examples of this repository."
  type        = string
  default     = null
}

variable "deletion_protection" {
  description = "Protect the tables against deletion; off, so that destroy takes one step."
  type        = bool
  default     = false
}
