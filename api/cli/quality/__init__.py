"""`farm quality`: what labels are worth, and the voters behind them."""
