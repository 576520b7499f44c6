"""Style sheets and scripts of the pages; `page.shell.stylesheet` reads them."""
