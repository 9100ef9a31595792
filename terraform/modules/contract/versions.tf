# No provider: everything here is text, so that its tests need nothing but Terraform and run in well under a second.
terraform {
  required_version = ">= 1.11"
}
