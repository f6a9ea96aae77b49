"""What talks to the outside: helm, the cluster, DNS. Each module implements a protocol of `wizard.ports`."""
