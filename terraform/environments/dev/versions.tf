terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }

  # Where the state lies is the account's business: terraform init -backend-config=backend.hcl (see backend.hcl.example).
  backend "s3" {}
}
