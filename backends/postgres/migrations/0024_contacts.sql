-- Where a person is paged: at most one address for each channel. It is personal, so it is kept apart, encrypted, as what
-- routes tell is; a contact itself has only a shown form of it.
CREATE TABLE wf.contacts (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  person     text NOT NULL CONSTRAINT contact_person REFERENCES wf.operators,
  channel    text NOT NULL CONSTRAINT contact_channel
             CHECK (channel IN ('webhook', 'slack', 'pagerduty', 'mail', 'drill')),
  target     wf.line NOT NULL CONSTRAINT contact_target CHECK (target <> ''),  -- as it is shown
  target_at  wf.moment NOT NULL DEFAULT now(),                                 -- since when it has this address
  version    integer NOT NULL DEFAULT 1,
  created_at wf.moment NOT NULL DEFAULT now(),
  created_by wf.line NOT NULL DEFAULT session_user,
  updated_at wf.moment NOT NULL DEFAULT now(),
  removed_at wf.moment
);
CREATE UNIQUE INDEX contact_taken ON wf.contacts (person, channel) WHERE removed_at IS NULL;

-- Encrypted, each bound to its contact. Nobody but a worker reads them; a removed contact has none.
CREATE TABLE wf.contact_secrets (
  contact_id bigint PRIMARY KEY REFERENCES wf.contacts ON DELETE CASCADE,
  key_id     text NOT NULL CONSTRAINT contact_secret_key CHECK (key_id ~ '^[0-9a-f]{16}$'),
  data       bytea NOT NULL CONSTRAINT contact_secret_data CHECK (octet_length(data) BETWEEN 28 AND 65536)
);

-- Whom a page goes to; NULL: to the route's own target. `person` has it for somebody without an address.
ALTER TABLE wf.deliveries ADD contact_id bigint REFERENCES wf.contacts;
CREATE INDEX deliveries_of_contact ON wf.deliveries (contact_id) WHERE contact_id IS NOT NULL;
