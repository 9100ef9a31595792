# No provider: everything here is text, so that its tests need nothing but Terraform.
terraform {
  required_version = ">= 1.11"
}
