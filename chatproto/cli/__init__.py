"""Start both programs: options, and how the parts are put together."""
