"""The common words: ticket, plan, states, policy, ticket files. Imports nothing else of ours."""
