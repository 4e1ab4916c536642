"""One file per command: options, help with examples, and nothing imported before it runs."""
