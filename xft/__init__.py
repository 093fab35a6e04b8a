"""The XFT method: upcycle a dense code model, tune it as a mixture of experts, merge it back."""
