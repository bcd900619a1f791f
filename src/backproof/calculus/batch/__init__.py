"""From the sheet of one sample to the sheet of a batch, and the witness that they agree."""

from backproof.calculus.batch.check import BatchChecked, check_batch, check_gradients
from backproof.calculus.batch.roles import Role
from backproof.calculus.batch.sheet import BatchSheet, batch_sheet

__all__ = ["BatchChecked", "BatchSheet", "Role", "batch_sheet", "check_batch", "check_gradients"]
