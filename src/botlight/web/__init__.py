"""What a person looks at: templates, the small ES modules of the browser, and the one function that renders a page."""
