project       = "our-project"
region        = "europe-west1"
network_id    = "projects/our-project/global/networks/main"
database_tier = "db-custom-4-16384"
# database_password comes by TF_VAR_database_password.
