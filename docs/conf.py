"""Settings of the documentation site.

``make docs`` builds it with the notebooks executed; without the tag ``notebooks`` their code is
shown and not run, for which the tests need no Jupyter.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

from dnamamba.version import installed_version

project = "dnamamba"
author = "The dnamamba authors"
copyright = "The dnamamba authors, Apache-2.0"
release = version = installed_version()

extensions = [
    "myst_nb" if tags.has("notebooks") else "code_cells",  # noqa: F821 (Sphinx puts it here)
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "dashes",
    "generated_pages",
]
exclude_patterns = ["build", "extensions"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_timeout = 120
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress, and libraries' own warnings

autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 80
add_module_names = False

# Flags begin with two hyphens, and bases stand in quotes.
smartquotes = False

copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = "dnamamba"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
