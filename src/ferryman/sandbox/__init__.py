"""Real systemd hosts on this machine, as containers: `sandbox.up`, `down` and `list`, and Molecule's hosts.

The inventory is the truth: every host with `sandbox_image` is a container. From the outside in:

- `model`    what a sandbox is (hosts, ports, names); `inventory` reads one, `__main__` makes one of platforms;
- `machine`  what this machine needs to reach packages, handed to image and hosts, never written to the project;
- `probing`  which engine is there, and what it must be told on this machine;
- `command`  the engine's command lines, as pure functions;
- `image`    the hosts' images, built once and named after their recipe;
- `access`   how hosts are reached: keys, host keys, sudo, SSH settings;
- `acme`     the ACME server's own certificate, names and roots;
- `hosts`    up, down and list.
"""
