"""What an audit leaves behind: the views of a folder, the evidence, and the report."""
