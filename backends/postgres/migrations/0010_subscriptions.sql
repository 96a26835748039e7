-- One subscription per tenant. The code of its plan is in wf.tenants; the version is here.
CREATE TABLE wf.subscriptions (
  tenant_id     text COLLATE "C" PRIMARY KEY REFERENCES wf.tenants,
  plan_version  integer,  -- NULL: the catalogue does not know the plan. Its limits are unknown, not unlimited
  previous_plan wf.line,
  state         text NOT NULL DEFAULT 'active' CONSTRAINT subscription_state
                CHECK (state IN ('trial', 'active', 'grace', 'past_due', 'suspended', 'expired', 'canceled')),
  cycle         text NOT NULL DEFAULT 'month' CONSTRAINT subscription_cycle CHECK (cycle IN ('month', 'year')),
  billing_zone  wf.line NOT NULL DEFAULT 'UTC',
  period_start  wf.day NOT NULL DEFAULT current_date,  -- of the first period; the others follow from it
  trial_plan    text,  -- the plan on trial: it overrides the plan while the trial lasts
  trial_version integer,
  trial_start   wf.moment,
  trial_end     wf.moment,
  trial_return  text CONSTRAINT trial_return CHECK (trial_return IN ('active', 'expired')),  -- the state after the trial
  extensions    smallint NOT NULL DEFAULT 0 CONSTRAINT trial_extensions CHECK (extensions BETWEEN 0 AND 3),
  grace_until   wf.moment,
  version       integer NOT NULL DEFAULT 1,
  created_at    wf.moment NOT NULL DEFAULT now(),
  updated_at    wf.moment NOT NULL DEFAULT now(),
  CONSTRAINT trial_of_plan FOREIGN KEY (trial_plan, trial_version) REFERENCES wf.plans,
  CONSTRAINT trial_marks CHECK (num_nonnulls(trial_plan, trial_version, trial_start, trial_end, trial_return) IN (0, 5)),
  CONSTRAINT trial_length CHECK (trial_end > trial_start AND trial_end - trial_start <= interval '365 days'),
  CONSTRAINT subscription_trial CHECK (state <> 'trial' OR trial_end IS NOT NULL),
  CONSTRAINT subscription_grace CHECK (state <> 'grace' OR grace_until IS NOT NULL)
);
CREATE INDEX subscriptions_trials ON wf.subscriptions (trial_end) WHERE state = 'trial';
CREATE INDEX subscriptions_graces ON wf.subscriptions (grace_until) WHERE state = 'grace';
-- For the list's orders and filters. Rows without an end sort after all others.
CREATE INDEX subscriptions_by_state ON wf.subscriptions (state, tenant_id);
CREATE INDEX subscriptions_by_cycle ON wf.subscriptions (cycle, tenant_id);
CREATE INDEX subscriptions_by_trial ON wf.subscriptions
  ((CASE WHEN state = 'trial' THEN trial_end::timestamptz ELSE 'infinity'::timestamptz END), tenant_id);
CREATE INDEX subscriptions_by_grace ON wf.subscriptions
  ((CASE WHEN state = 'grace' THEN grace_until::timestamptz ELSE 'infinity'::timestamptz END), tenant_id);
CREATE INDEX subscriptions_unknown ON wf.subscriptions (tenant_id) WHERE plan_version IS NULL;

CREATE TABLE wf.subscription_transitions (
  was wf.line, becomes wf.line, PRIMARY KEY (was, becomes)
);
INSERT INTO wf.subscription_transitions VALUES
  ('trial', 'active'), ('trial', 'expired'), ('trial', 'suspended'), ('trial', 'canceled'),
  ('active', 'trial'), ('active', 'past_due'), ('active', 'grace'), ('active', 'suspended'), ('active', 'canceled'),
  ('past_due', 'active'), ('past_due', 'grace'), ('past_due', 'suspended'), ('past_due', 'canceled'),
  ('grace', 'active'), ('grace', 'suspended'), ('grace', 'expired'), ('grace', 'canceled'),
  ('suspended', 'trial'), ('suspended', 'active'), ('suspended', 'past_due'), ('suspended', 'grace'),
  ('suspended', 'expired'), ('suspended', 'canceled'),
  ('expired', 'trial'), ('expired', 'active'), ('expired', 'canceled'),
  ('canceled', 'active');

-- The shipped tenant has no trial.
INSERT INTO wf.subscriptions (tenant_id, plan_version, period_start)
VALUES ('default', 1, (now() AT TIME ZONE 'UTC')::date);

-- Every change of plan with its cost; one that is neither applied nor canceled waits for its day.
CREATE TABLE wf.plan_changes (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id    text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  from_plan    wf.line NOT NULL,
  from_version integer,
  from_cycle   wf.line NOT NULL,
  plan         text NOT NULL,
  version      integer NOT NULL,
  cycle        text NOT NULL CONSTRAINT plan_change_cycle CHECK (cycle IN ('month', 'year')),
  direction    text NOT NULL CONSTRAINT plan_change_direction CHECK (direction IN ('upgrade', 'downgrade', 'unknown')),
  effective_on wf.day NOT NULL,
  period_start wf.day NOT NULL,
  period_end   wf.day NOT NULL,  -- the first day after it
  currency     wf.line NOT NULL,
  lines        wf.document NOT NULL,
  summary      wf.words NOT NULL,
  preview_hash wf.line NOT NULL,
  applied_at   wf.moment,
  canceled_at  wf.moment,
  at           wf.moment NOT NULL DEFAULT now(),
  by           wf.line NOT NULL DEFAULT session_user,
  CONSTRAINT plan_change_of_plan FOREIGN KEY (plan, version) REFERENCES wf.plans,
  CONSTRAINT plan_change_settled_once CHECK (num_nonnulls(applied_at, canceled_at) < 2)
);

CREATE UNIQUE INDEX plan_change_pending ON wf.plan_changes (tenant_id) WHERE applied_at IS NULL AND canceled_at IS NULL;
CREATE INDEX plan_changes_due ON wf.plan_changes (effective_on) WHERE applied_at IS NULL AND canceled_at IS NULL;
CREATE INDEX plan_changes_of_tenant ON wf.plan_changes (tenant_id, id);

-- Reminders that a trial ends soon, one on each of its last three days. An extension has a new end, with three more.
CREATE TABLE wf.trial_reminders (
  tenant_id text COLLATE "C" NOT NULL REFERENCES wf.tenants,
  trial_end wf.moment NOT NULL,
  days      integer NOT NULL CHECK (days IN (7, 3, 1)),
  at        wf.moment NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, trial_end, days)
);
INSERT INTO wf.tenant_tables VALUES ('wf.subscriptions', 11), ('wf.entitlement_grants', 12), ('wf.plan_changes', 13),
  ('wf.trial_reminders', 14);
