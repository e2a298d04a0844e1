variable "name" {
  description = "What everything here is called."
  type        = string
  default     = "dtq"
}

variable "project" {
  description = "The project in which DTQ runs."
  type        = string
}

variable "region" {
  description = "The region in which DTQ runs."
  type        = string
}

variable "network_id" {
  description = "The VPC network in which DTQ runs, as projects/…/global/networks/…; it has private services access."
  type        = string
}

variable "database_tier" {
  description = "The size of the database server; docs/SCALING.md has the arithmetic."
  type        = string
  default     = "db-custom-2-8192"
}

variable "database_storage_gib" {
  description = "Disk to begin with; it grows by itself."
  type        = number
  default     = 100
}

variable "database_max_connections" {
  description = "More than all processes may open together; docs/SCALING.md counts them."
  type        = number
  default     = 500
}

variable "database_password" {
  description = "The password of DTQ's database user."
  type        = string
  sensitive   = true
}

variable "backup_days" {
  description = "How many daily backups are kept."
  type        = number
  default     = 14
}

variable "redis_memory_gib" {
  description = "The memory of Redis: some 150 bytes for each ready task, and as much again to spare."
  type        = number
  default     = 1
}
