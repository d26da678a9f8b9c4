"""What a lead does: plan, have the plan challenged, freeze it, keep its progress, decide on what tickets report."""
