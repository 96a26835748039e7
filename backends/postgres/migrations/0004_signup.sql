-- Sign-ups: five attempts an hour from one IP address, successful or not. The e-mail address is not kept.
CREATE TABLE wf.sign_up_attempts (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  address inet NOT NULL,
  at      wf.moment NOT NULL
);
CREATE INDEX sign_up_attempts_of_address ON wf.sign_up_attempts (address, at);
CREATE INDEX sign_up_attempts_by_time ON wf.sign_up_attempts (at);
