variable "name_prefix" {
  type        = string
  description = "Begins the name of every resource, such as tidegate-prod."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name_prefix))
    error_message = "name_prefix is 2 to 32 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "region" {
  type        = string
  description = "Region of the VPC."
  nullable    = false

  validation {
    # The endpoints of the partition aws-cn have names of another kind.
    condition     = !startswith(var.region, "cn-")
    error_message = "region is a Region outside China."
  }
}

variable "account_id" {
  type        = string
  description = "Account of the VPC."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id has 12 digits."
  }
}

variable "target_account_ids" {
  type        = set(string)
  description = "Accounts whose target role the workers take: calls made with it come through the endpoints of drs and ec2 as theirs."
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for id in var.target_account_ids : can(regex("^[0-9]{12}$", id))])
    error_message = "Each of target_account_ids has 12 digits."
  }
}

variable "vpc_id" {
  type        = string
  description = "VPC of the workers. DNS hostnames and DNS support must be on in it, for the endpoints' private names."
  nullable    = false

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id is the id of a VPC."
  }
}

variable "subnet_ids" {
  type        = set(string)
  description = "Private subnets of the workers, one per zone: each interface endpoint has an address, and a price, in each."
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) >= 2 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "subnet_ids has the ids of at least two subnets, so that a lost zone takes no service away."
  }
}

variable "route_table_ids" {
  type        = set(string)
  description = "Route tables of those subnets, for the gateway endpoints."
  nullable    = false

  validation {
    condition     = length(var.route_table_ids) >= 1 && alltrue([for id in var.route_table_ids : can(regex("^rtb-[0-9a-f]{8,17}$", id))])
    error_message = "route_table_ids has the id of at least one route table."
  }
}

variable "client_security_group_ids" {
  type        = list(string)
  description = "Security groups that may reach the endpoints: the workers'."
  nullable    = false

  validation {
    condition     = length(var.client_security_group_ids) >= 1 && alltrue([for id in var.client_security_group_ids : can(regex("^sg-[0-9a-f]{8,17}$", id))])
    error_message = "client_security_group_ids has the id of at least one security group; without one nobody could reach the endpoints."
  }
}

variable "interface_services" {
  type        = set(string)
  description = "Services reached through interface endpoints. Leave out what the VPC has already: a private name exists once."
  default     = ["states", "drs", "ec2", "sts", "logs", "ecr.api", "ecr.dkr", "monitoring", "events"]
  nullable    = false

  validation {
    condition     = length(setsubtract(var.interface_services, ["states", "drs", "ec2", "sts", "logs", "ecr.api", "ecr.dkr", "monitoring", "events"])) == 0
    error_message = "interface_services are among states, drs, ec2, sts, logs, ecr.api, ecr.dkr, monitoring, events."
  }
}

variable "gateway_services" {
  type        = set(string)
  description = "Services reached through gateway endpoints, which cost nothing."
  default     = ["dynamodb", "s3"]
  nullable    = false

  validation {
    condition     = length(setsubtract(var.gateway_services, ["dynamodb", "s3"])) == 0
    error_message = "gateway_services are among dynamodb and s3."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource of this module, beside the provider's default_tags."
  default     = {}
  nullable    = false
}
