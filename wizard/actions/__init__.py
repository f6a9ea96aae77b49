"""What `do it for me` does, and the checks that belong to it. Generic: vendors' names live in wizard/guides/."""
