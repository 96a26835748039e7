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
