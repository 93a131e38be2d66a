"""What the collection decides is asked of itself here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / ".ansible" / "collections"))
