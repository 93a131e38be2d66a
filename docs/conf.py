"""How Sphinx builds the site, from every page that a forge shows: `./invoke docs.site`."""

from ferryman import __version__

project = "Ferryman"
author = project_copyright = "The Ferryman authors"
release = __version__

extensions = ["myst_parser", "ferryman.site"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "roles/*/README.md", "examples/*/README.md"]
# Beside the pages lie an environment, a link to the checkout itself, and much that is no page.
exclude_patterns = [".*", "src", "plugins", "tests", "molecule", "inventories", "requirements", "dist", "build"]
suppress_warnings = ["toc.not_included"]  # a role's README is reached from its page of the reference

myst_heading_anchors = 4  # as forges make them
highlight_language = "text"

html_theme = "furo"
html_title = "Ferryman"
html_static_path = ["site"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
