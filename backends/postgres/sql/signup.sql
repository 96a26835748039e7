-- What is wrong with it; NULL: nothing. The domain has the same rules; a test compares the two.
CREATE OR REPLACE FUNCTION wf.sign_up_fault(email text, name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT CASE
    WHEN email IS NULL OR char_length(email) > 254
      OR email ~ '[\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
      OR email !~ '^[^@]+@[^@.]([^@]*[^@.])?$' OR strpos(split_part(email, '@', 2), '.') = 0
      THEN 'invalid_email'
    WHEN name IS NULL OR char_length(name) NOT BETWEEN 3 AND 64 OR name ~ '[/\\\u0001-\u001f\u007f-\u009f]'
      THEN 'invalid_name' END;
END;

CREATE OR REPLACE FUNCTION wf_data.sign_up(address inet, email text, name text)
RETURNS TABLE (allowed boolean, code text, retry_after_s integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = wf, pg_temp AS $$
DECLARE
  one    inet := host(sign_up.address)::inet;  -- without a network's length
  moment timestamptz;
  fifth  timestamptz;
BEGIN
  IF one IS NULL THEN
    RAISE EXCEPTION 'an attempt needs its address' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  PERFORM wf.take_lock_of('sign_up', host(one));
  moment := clock_timestamp();  -- after the wait
  DELETE FROM wf.sign_up_attempts WHERE id IN (
    SELECT a.id FROM wf.sign_up_attempts a WHERE a.at <= moment - interval '1 hour' ORDER BY a.at LIMIT 100
    FOR UPDATE SKIP LOCKED);
  fifth := (SELECT a.at FROM wf.sign_up_attempts a WHERE a.address = one AND a.at > moment - interval '1 hour'
            ORDER BY a.at DESC OFFSET 4 LIMIT 1);
  IF fifth IS NOT NULL THEN
    RETURN QUERY SELECT false, 'too_many_attempts',
                        ceil(extract(epoch FROM fifth + interval '1 hour' - moment))::integer;
    RETURN;
  END IF;
  INSERT INTO wf.sign_up_attempts (address, at) VALUES (one, moment);
  RETURN QUERY SELECT wf.sign_up_fault(email, sign_up.name) IS NULL, wf.sign_up_fault(email, sign_up.name), NULL::integer;
END
$$;
GRANT EXECUTE ON FUNCTION wf_data.sign_up TO wf_service;

CREATE OR REPLACE FUNCTION wf.prune_sign_up_attempts() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = wf, pg_temp AS $$
DECLARE
  pruned bigint;
BEGIN
  DELETE FROM wf.sign_up_attempts WHERE id IN (
    SELECT a.id FROM wf.sign_up_attempts a WHERE a.at <= now() - interval '1 hour' ORDER BY a.at LIMIT 20000
    FOR UPDATE SKIP LOCKED);
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN pruned;
END
$$;
GRANT EXECUTE ON FUNCTION wf.prune_sign_up_attempts TO wf_worker;
