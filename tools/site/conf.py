# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site. The version comes from build.py."""

from __future__ import annotations

project = "seafleet.seafile"
author = copyright = "The seafleet.seafile contributors"  # pylint: disable=redefined-builtin
extensions = ["myst_parser", "sphinx.ext.intersphinx", "sphinx_antsibull_ext"]
# The site is built without the network: build.py writes the few labels that are used.
intersphinx_mapping = {"ansible": ("https://docs.ansible.com/ansible/latest/", "ansible.inv")}
myst_heading_anchors = 4
highlight_language = "none"
pygments_style = "ansible"
nitpicky = True
# Commands are copied from here: two dashes stay two dashes.
smartquotes = False

html_theme = "furo"
html_title = "seafleet.seafile"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sphinx = False
html_use_index = False
html_theme_options = {
    "source_repository": "https://github.com/seafleet/seafleet.seafile",
    "top_of_page_buttons": [],
    "footer_icons": [],
}
