"""How the site is built: Sphinx on Markdown pages, with what `scripts/docs/build.py` lays out for it.

Called by that script alone, which passes the folder of sources; nothing here reaches for a network.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts" / "docs")]

project = "mammo-monai"
author = "the mammo-monai contributors"
project_copyright = "the mammo-monai contributors, Apache-2.0"
version = re.search(
    r'__version__ = "(.+)"', (ROOT / "mammo_monai" / "__init__.py").read_text(encoding="utf-8")
)[1]  # type: ignore[index]
release = version
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_argparse_cli",
    "sphinx_copybutton",
    "build_docstrings",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
default_role = "code"  # one backtick in a docstring is code, as in Markdown
nitpicky = False
keep_warnings = False
suppress_warnings: list[str] = []

myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]
myst_update_mathjax = False
nb_execution_mode = "off"  # build.py --run-notebooks
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # the default would load two scripts from elsewhere
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
add_module_names = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
toc_object_entries = False  # every page carries the side bar: with them it takes minutes more

html_theme = "furo"
html_title = f"mammo-monai {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "light_logo": "logo-light.svg",
    "dark_logo": "logo-dark.svg",
    "top_of_page_buttons": [],
    "light_css_variables": {"color-brand-primary": "#0b5c6e", "color-brand-content": "#0b6b80"},
    "dark_css_variables": {"color-brand-primary": "#6cc5d6", "color-brand-content": "#6cc5d6"},
}
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"
copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div.highlight-bash pre, div.highlight-python pre, div.highlight-json pre"
