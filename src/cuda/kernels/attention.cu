// Causal attention over packed prompts.
