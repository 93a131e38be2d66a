#!/bin/sh
# First process of a sandbox host: makes a container enough of a machine for systemd, then is systemd.

# LoadCredential= and PrivateMounts= need a shared root.
mount --make-rshared / 2>/dev/null || :
# Roles may set net.* (each host has its own); kernel.* and vm.* belong to the machine underneath.
mount -o remount,bind,rw /proc/sys 2>/dev/null || :

# The engine mounts these files one by one, and a mounted file can't be replaced by a rename, as every careful
# program does. Where the mount can't be lifted (rootless engines) they stay as they are. What a role wrote into
# hosts and hostname outlives a reboot; resolv.conf comes anew from the engine, as from DHCP.
host=$(hostname)
first=$([ -e /etc/ssh/ssh_host_ed25519_key ] || echo true)
resolv=$(cat /etc/resolv.conf)
umount /etc/hosts /etc/hostname /etc/resolv.conf 2>/dev/null || :
printf '%s\n' "$resolv" > /etc/resolv.conf
if [ "$first" ]; then
    echo "$host" > /etc/hostname
    printf '127.0.0.1 localhost\n127.0.1.1 %s\n::1 localhost ip6-localhost ip6-loopback\n' "$host" > /etc/hosts
    ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    echo "Port ${SANDBOX_SSH_PORT:-2222}" > /etc/ssh/sshd_config.d/20-sandbox-port.conf
fi
unset SANDBOX_SSH_PORT

exec /sbin/init
