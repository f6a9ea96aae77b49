"""The speed budgets of DESIGN.md section 8, measured. Never a test: a busy machine must not fail a build."""
