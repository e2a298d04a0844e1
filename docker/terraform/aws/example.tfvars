vpc_id                    = "vpc-0123456789abcdef0"
private_subnet_ids        = ["subnet-0123456789abcdef0", "subnet-0fedcba9876543210"]
client_security_group_ids = ["sg-0123456789abcdef0"]
database_instance_class   = "db.m7g.xlarge"
# redis_auth_token comes by TF_VAR_redis_auth_token.
