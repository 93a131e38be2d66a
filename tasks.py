"""Where a plain `inv` finds the tasks; `./invoke` and `ferryman` take them from the package."""

from ferryman.tasks import namespace as ns  # noqa: F401  # Invoke looks for a name `ns` here
