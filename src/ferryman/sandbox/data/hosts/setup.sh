# Opens a host to `ops`, and prints its SSH host key. Run as root inside the host, as often as one likes.
# Comes in before: public_key, sudo_rule, login (name:password or empty), pip_conf (text or empty).
set -eu
umask 077
mkdir -p /home/ops/.ssh
printf '%s\n' "$public_key" > /home/ops/.ssh/authorized_keys
chown -R ops:ops /home/ops/.ssh
printf '%s\n' "$sudo_rule" > /etc/sudoers.d/ops
chmod 0440 /etc/sudoers.d/ops
if [ "$login" ]; then printf '%s\n' "$login" | chpasswd; fi
umask 022
if [ "$pip_conf" ]; then printf '%s' "$pip_conf" > /etc/pip.conf; fi
# Package lists of an image that has been there for days name files that the mirrors have not any more.
if [ -z "$(find /var/lib/apt/lists -name '*Packages*' -mtime -3 2>/dev/null | head -n 1)" ]; then
    apt-get update -qq >&2 || echo "package lists could not be renewed" >&2
fi
cat /etc/ssh/ssh_host_ed25519_key.pub
