"""vrrpd: a VRRP router that takes the place of keepalived's VRRP half."""
