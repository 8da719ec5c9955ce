"""How long an exported model takes to answer."""
