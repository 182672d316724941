"""What an operator sees and does: log lines, the statistics page and its formats, actions on servers."""
