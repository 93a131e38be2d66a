"""`python -m ferryman`: what `./invoke` runs in a checkout."""

from ferryman.program import main

main()
