"""Configuration files, as frozen values: vrrpd.toml and keepalived.conf read into one model."""
