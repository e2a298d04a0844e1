# MariaDB and Redis for DTQ on AWS, in a VPC that is there. docs/CLOUD.md says how they are used.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}
