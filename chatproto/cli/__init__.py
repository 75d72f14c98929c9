"""Start both programs: parse the options and put the parts together."""
