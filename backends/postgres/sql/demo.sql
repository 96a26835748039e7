-- Only the owner may load the demonstration.
INSERT INTO wf.operations (name, role) VALUES
  ('demo.load', 'owner');
INSERT INTO wf.operation_writes (operation, control, verb, columns, was, becomes, many) VALUES
  ('demo.load', 'wf.tenants', 'insert', NULL, NULL, NULL, true),
  ('demo.load', 'wf.tenants', 'update', '{plan,region,owner_email,metadata}', NULL, NULL, true),
  ('demo.load', 'wf.projects', 'insert', NULL, NULL, NULL, true),
  ('demo.load', 'wf.api_keys', 'insert', NULL, NULL, NULL, true),
  ('demo.load', 'wf.webhooks', 'insert', NULL, NULL, NULL, true),
  ('demo.load', 'wf.subscriptions', 'update',
   '{plan_version,previous_plan,state,cycle,billing_zone,period_start,created_at,trial_plan,trial_version,trial_start,trial_end,trial_return,extensions,grace_until}',
   NULL, NULL, true),
  ('demo.load', 'wf.entitlement_grants', 'insert', NULL, NULL, NULL, true);
