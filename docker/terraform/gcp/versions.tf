# MySQL and Redis for DTQ on Google Cloud, in a network that is there. docs/CLOUD.md says how they are used.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.10"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}
