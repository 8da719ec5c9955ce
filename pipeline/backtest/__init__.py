"""`dfei backtest`: the same comparison as of several days, because two evaluation days are few."""
