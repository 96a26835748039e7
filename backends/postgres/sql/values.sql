-- Fold a text, the same for what is stored and what is asked: composed, in lower case, without joiners (ZWJ, ZWNJ).
-- Under one collation whatever the column's is, because "C" knows only ASCII. The same as
-- controlplane.filters.patterns.fold. Its body is an expression, so that the planner can inline it into queries and
-- indexes.
CREATE OR REPLACE FUNCTION wf.folded(body text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(body) = char_length(body) THEN lower(body COLLATE "default")
            ELSE lower(normalize(translate(body, E'\u200c\u200d', ''), NFC) COLLATE "default") END;

-- The same for each element of a list.
CREATE OR REPLACE FUNCTION wf.folded_all(texts text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY(SELECT wf.folded(t) FROM unnest(texts) t);

-- An address as it is shown to logins that may not read it.
CREATE OR REPLACE FUNCTION wf.masked(value text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN value IS NULL THEN NULL
            WHEN strpos(value, '@') > 1 THEN left(value, 1) || '•••@' || split_part(value, '@', -1)
            ELSE '•••' END;

-- Substring search without an extension: the trigrams of a text, for a GIN index. The text must be folded already. It
-- is in PL/pgSQL because that is three times as fast here as SQL's ARRAY(SELECT …); its cost makes the planner try a
-- plain LIKE first wherever it does not use the index.
CREATE OR REPLACE FUNCTION wf.trigrams(body text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 200
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
    parts text[] := '{}';
BEGIN
    FOR place IN 1 .. least(length(body), 10000) - 2 LOOP  -- no searched text is longer
        parts[place] := substr(body, place, 3);
    END LOOP;
    RETURN parts;
END
$$;

-- Plans, subscriptions, what a tenant may use, and what it used.
--
-- An entitlement is derived, never stored: override > incident > trial > plan. The domain has the same rule
-- (controlplane.subscriptions.rules.effective); a test compares the two.

-- The kind of an entitlement's value, by its shape; NULL: not valid. -1 is unlimited, and 0 is never a limit.
--   5, true, "text", {"hard", "soft"?, "burst"?, "period"}, {"rps", "burst", "max_wait_ms"?}
CREATE OR REPLACE FUNCTION wf.entitlement_kind(value jsonb) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  amount constant text := '^[1-9][0-9]{0,17}$';
  limited boolean;
BEGIN
  IF jsonb_typeof(value) = 'boolean' THEN
    RETURN 'boolean';
  ELSIF jsonb_typeof(value) = 'string' THEN
    RETURN CASE WHEN char_length(value #>> '{}') BETWEEN 1 AND 200 THEN 'string' END;
  ELSIF jsonb_typeof(value) = 'number' THEN
    RETURN CASE WHEN value::text = '-1' OR value::text ~ amount THEN 'integer' END;
  ELSIF jsonb_typeof(value) <> 'object' THEN
    RETURN NULL;
  ELSIF value ? 'hard' THEN
    limited := (value -> 'hard')::text <> '-1';
    IF value - ARRAY['hard', 'soft', 'burst', 'period'] <> '{}'
       OR limited AND (value -> 'hard')::text !~ amount
       OR value ? 'soft' AND (value -> 'soft')::text !~ amount
       OR value ? 'burst' AND (value -> 'burst')::text !~ amount
       OR coalesce(value ->> 'period', '') NOT IN ('hour', 'day', 'month') THEN
      RETURN NULL;
    END IF;
    RETURN CASE WHEN NOT limited OR NOT value ? 'soft' OR (value ->> 'soft')::bigint <= (value ->> 'hard')::bigint
                THEN 'quota' END;
  ELSIF value ? 'rps' THEN
    IF value - ARRAY['rps', 'burst', 'max_wait_ms'] <> '{}' OR jsonb_typeof(value -> 'rps') <> 'number'
       OR NOT coalesce((value -> 'burst')::text ~ amount, false)
       OR value ? 'max_wait_ms' AND (value -> 'max_wait_ms')::text !~ '^(0|[1-9][0-9]{0,6})$' THEN
      RETURN NULL;
    END IF;
    RETURN CASE WHEN (value ->> 'rps')::numeric > 0 AND (value ->> 'rps')::numeric <= 1000000 THEN 'rate' END;
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION wf.entitlements_valid(entitlements jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  RETURN jsonb_typeof(entitlements) = 'object' AND octet_length(entitlements::text) <= 65536 AND NOT EXISTS (
    SELECT FROM jsonb_each(entitlements) e
    WHERE e.key !~ '^[a-z][a-z0-9_.-]{0,63}$' OR wf.entitlement_kind(e.value) IS NULL);
END
$$;

-- Severities in rising order, as in controlplane/alerts/model.py.
CREATE OR REPLACE FUNCTION wf.severity_rank(severity text) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN array_position(ARRAY['info', 'warning', 'error', 'critical'], severity)::smallint;

-- What makes two alerts the same: SHA-256 of tenant, kind and labels, as controlplane.alerts.identity computes it too.
CREATE OR REPLACE FUNCTION wf.fingerprint(tenant_id text, kind text, labels jsonb) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
  SELECT sha256(convert_to(jsonb_build_array(coalesce(tenant_id, ''), kind, coalesce(
    (SELECT jsonb_agg(jsonb_build_array(l.key, l.value) ORDER BY l.key COLLATE "C") FROM jsonb_each_text(labels) l),
    '[]'))::text, 'UTF8'))
$$;

-- Whether a document is a list of label matchers, as controlplane/matchers.py has them: at most 50 of
-- {"label", "op", "value"}.
CREATE OR REPLACE FUNCTION wf.matchers_valid(matchers jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, wf, pg_temp AS $$
BEGIN
  IF jsonb_typeof(matchers) <> 'array' OR octet_length(matchers::text) > 65536 OR jsonb_array_length(matchers) > 50 THEN
    RETURN false;
  END IF;
  RETURN NOT EXISTS (
    SELECT FROM jsonb_array_elements(matchers) AS m
    WHERE (jsonb_typeof(m) = 'object' AND m - ARRAY['label', 'op', 'value'] = '{}'
           AND m ->> 'label' ~ '^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$' AND m ->> 'op' IN ('=', '!=', '=~', '!~')
           AND jsonb_typeof(m -> 'value') = 'string' AND char_length(m ->> 'value') <= 400) IS NOT TRUE);
END
$$;

-- What went wrong, without ids, numbers, quoted texts, addresses and times; the same as controlplane.queues.causes.
CREATE OR REPLACE FUNCTION wf.dead_cause(error text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  cause text COLLATE "C" := error;
BEGIN
  cause := regexp_replace(cause, '"[^"]*"', '<s>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z])''[^'']*''', '<s>', 'g');
  cause := regexp_replace(cause, '`[^`]*`', '<s>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z])[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}'
             '(:[0-9]{2}([.,][0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?(?![0-9A-Za-z])', '<time>', 'g');
  cause := regexp_replace(cause, '(?<![^\x01-$&-*,/:-@\[-^`{-\x7f])[^\x01-$&-*,/:-@\[-^`{-\x7f]+@[^\x01-$&-*,/:-@\[-^`{-\x7f]+', '<email>', 'g');
  cause := regexp_replace(cause, '(?<![^\t-\r @])[^\t-\r @]+@[^\t-\r @]+', '<email>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}'
             '(?![0-9A-Za-z])', '<uuid>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z.])[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9A-Za-z.])', '<ip>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z:])([0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])', '<ip>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z])0x[0-9A-Fa-f]+(?![0-9A-Za-z])', '<hex>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z])[0-9]+(?![0-9A-Za-z])', '<n>', 'g');
  cause := regexp_replace(cause, '(?<![0-9A-Za-z])[0-9A-Fa-f]{8,}(?![0-9A-Za-z])', '<hex>', 'g');
  cause := regexp_replace(cause, '[0-9]+', '<n>', 'g');
  cause := regexp_replace(cause, '<n>([.,]<n>)+', '<n>', 'g');
  cause := regexp_replace(cause, '[\t-\r ]+', ' ', 'g');
  RETURN left(btrim(cause, ' '), 500);
END
$$;

-- `cause`: of wf.dead_cause.
CREATE OR REPLACE FUNCTION wf.dead_fingerprint(queue text, handler text, error_class text, cause text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN encode(sha256(convert_to(queue || '|' || handler || '|' || error_class || '|' || cause, 'UTF8')), 'hex');

-- An environment's word. What only resembles "production" is refused: a second person is asked for there.
CREATE OR REPLACE FUNCTION wf.environment_valid(environment text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN environment ~ '^[a-z0-9][a-z0-9_.-]{0,63}$'
       AND (environment = 'production' OR environment !~ '^(prod|prd|live$)' );

-- Whether a text is a gate's definition, as controlplane/gates/document.py writes it: what the guard itself reads of it.
CREATE OR REPLACE FUNCTION wf.gate_valid(definition text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, wf, pg_temp AS $$
DECLARE
  document jsonb;
BEGIN
  IF octet_length(definition) > 131072 THEN
    RETURN false;
  END IF;
  document := definition::jsonb;
  IF (jsonb_typeof(document -> 'name') = 'string' AND jsonb_typeof(document -> 'checks') = 'array'
      AND jsonb_array_length(document -> 'checks') BETWEEN 1 AND 200) IS NOT TRUE THEN
    RETURN false;
  END IF;
  RETURN NOT EXISTS (
      SELECT FROM jsonb_array_elements(document -> 'checks') c
      WHERE (c ->> 'name' ~ '^[a-z][a-z0-9_./-]{0,129}$' AND jsonb_typeof(c -> 'kind') = 'string'
             AND jsonb_typeof(c -> 'owner') = 'string' AND jsonb_typeof(c -> 'required') = 'boolean'
             AND (c -> 'freshness')::text ~ '^[1-9][0-9]{0,7}$' AND (c -> 'due')::text ~ '^[1-9][0-9]{0,7}$'
             AND (c -> 'limit')::text ~ '^[1-9][0-9]{0,4}$') IS NOT TRUE)
    AND (SELECT count(DISTINCT c ->> 'name') = count(*) AND bool_or((c ->> 'required')::boolean)
         FROM jsonb_array_elements(document -> 'checks') c);
EXCEPTION WHEN data_exception OR statement_too_complex THEN
  RETURN false;
END
$$;
