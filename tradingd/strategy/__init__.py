"""2. What we would like: strategies and indicators turn quotes and bars into intents."""
