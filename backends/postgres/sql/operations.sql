-- Emptied before the other files put in what is theirs. With DELETE: who reads meanwhile does not wait, and finds the
-- old rows until the commit.
DELETE FROM wf.operation_writes;
DELETE FROM wf.operations;
