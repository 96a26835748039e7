-- Empty these tables before the other files add their rows. By DELETE, so that readers do not wait, and see the old
-- rows until the commit.
DELETE FROM wf.operation_writes;
DELETE FROM wf.operations;
