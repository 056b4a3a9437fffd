/**
 * Trigger functions that only change their own row are told from all others. Fails if a body that may run SQL counts as
 * harmless.
 */
import { describe, expect, test } from 'vitest';
import { isHarmlessTriggerBody } from '../../src/catalog/trigger-body.ts';

describe('a trigger function that changes nothing but its row', () => {
  test.each([
    'BEGIN NEW.updated_at = now(); RETURN NEW; END',
    'BEGIN\n  NEW.updated_at := CURRENT_TIMESTAMP; -- touch\n  RETURN NEW;\nEND;',
    "begin new.slug := lower(regexp_replace(new.title, '[^a-z]', '-')); return new; end",
    'BEGIN IF NEW.a IS DISTINCT FROM OLD.a THEN NEW.v = OLD.v + 1; ELSE NEW.v := 0; END IF; RETURN NEW; END',
    "BEGIN NEW.search := setweight(to_tsvector('english', coalesce(NEW.title, '')), 'A') || to_tsvector('english', NEW.body); RETURN NEW; END",
    "BEGIN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NULL; END",
    "BEGIN NEW.at := timezone('utc', now())::timestamptz; RETURN NEW; END",
    "BEGIN NEW.note := 'it''s; DELETE FROM users'; RETURN NEW; END",
  ])('proven: %s', (body) => {
    expect(isHarmlessTriggerBody(body)).toBe(true);
  });

  test.each([
    '',
    'BEGIN INSERT INTO audit VALUES (1); RETURN NEW; END',
    'BEGIN UPDATE users SET a = 1; RETURN NEW; END',
    'BEGIN PERFORM f(); RETURN NEW; END',
    "BEGIN EXECUTE 'DELETE FROM users'; RETURN NEW; END",
    'BEGIN NEW.a := (SELECT count(*) FROM users); RETURN NEW; END',
    'BEGIN NEW.a := my_function(NEW.b); RETURN NEW; END',
    'BEGIN NEW.a := public.now(); RETURN NEW; END',
    "BEGIN NEW.a := nextval('s'); RETURN NEW; END",
    "BEGIN NEW.a := set_config('a.b', 'c', false); RETURN NEW; END",
    'BEGIN NEW.a := "now"(); RETURN NEW; END',
    'BEGIN NEW."now"(); RETURN NEW; END',
    'BEGIN NEW.f(1); RETURN NEW; END',
    'BEGIN other.x := 1; RETURN NEW; END',
    'DECLARE x int; BEGIN RETURN NEW; END',
    "BEGIN NEW.a := E'\\'; DELETE FROM users; --'; RETURN NEW; END",
    'BEGIN NEW.a := $x$ $x$; RETURN NEW; END',
    'BEGIN /* now */ RETURN NEW; END',
    "BEGIN NEW.a := '1'::my_domain; RETURN NEW; END",
    "BEGIN NEW.a := 'open; RETURN NEW; END",
    'BEGIN SET search_path = x; RETURN NEW; END',
    'BEGIN RAISE EXCEPTION USING message = f(); RETURN NEW; END',
    'BEGIN NOTIFY x; RETURN NEW; END',
    'BEGIN <<x>> LOOP END LOOP; END',
  ])('not proven: %s', (body) => {
    expect(isHarmlessTriggerBody(body)).toBe(false);
  });
});
