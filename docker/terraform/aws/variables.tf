variable "name" {
  description = "What everything here is called."
  type        = string
  default     = "dtq"
}

variable "vpc_id" {
  description = "The VPC in which DTQ runs."
  type        = string
}

variable "private_subnet_ids" {
  description = "Subnets without a way in from the internet, in two availability zones at least."
  type        = list(string)

  validation {
    condition     = length(var.private_subnet_ids) >= 2
    error_message = "Name subnets in two availability zones at least."
  }
}

variable "client_security_group_ids" {
  description = "The security groups of the machines or pods that run DTQ: nobody else reaches the servers."
  type        = set(string)
}

variable "database_instance_class" {
  description = "The size of the database server; docs/SCALING.md has the arithmetic."
  type        = string
  default     = "db.m7g.large"
}

variable "database_storage_gib" {
  description = "Disk to begin with; it grows to five times as much by itself."
  type        = number
  default     = 100
}

variable "database_max_connections" {
  description = "More than all processes may open together; docs/SCALING.md counts them."
  type        = number
  default     = 500
}

variable "backup_days" {
  description = "For how many days any moment can be restored."
  type        = number
  default     = 14
}

variable "redis_node_type" {
  description = "The size of the Redis server: some 150 bytes for each ready task, and as much again to spare."
  type        = string
  default     = "cache.t4g.small"
}

variable "redis_auth_token" {
  description = "The password of Redis, 16 to 128 characters without @, \" and /."
  type        = string
  sensitive   = true
}
