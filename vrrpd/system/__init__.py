"""The host's side of vrrpd: sockets, netlink, processes. Only the executor changes the host."""
