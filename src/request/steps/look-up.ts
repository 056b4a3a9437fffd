/** Answers a read from the cache, if it can. Called by handle-request.ts for reads that may be cached. */
import { Frontend } from '../../protocol/codes.ts';
import { Capture } from '../../cache/capture.ts';
import type { Lookup } from '../../cache/types.ts';
import { cacheKey, cacheTags, cacheTtlMs, consistencyOf } from '../cacheable.ts';
import { countAnswer } from '../count.ts';
import { enterParsed } from '../prepared/from-cache.ts';
import type { Outcome, Session } from '../../session/session.ts';
import type { Unit } from '../../session/unit.ts';

export function lookUp(session: Session, unit: Unit): Outcome {
  const { cache } = session.services;
  const { ticker } = session.database.topology;
  const tags = cacheTags(unit);
  const { seen, tokens } = session.concerns.freshness;
  if (seen.isUnproven && tokens.schema.isThere(session.database.topology.schema)) seen.proven();
  const isStrict = consistencyOf(session, unit) === 'strict';
  const found = cache.lookup(cacheKey(session, unit), tags, cacheTtlMs(session, unit), seen, ticker, isStrict);
  if (found.kind !== 'wait') return take(session, unit, found);
  return session.waitFor('cache', unit, (goOn) => {
    found.result.then(
      (later) => {
        if (!goOn(() => take(session, unit, later)) && later.kind === 'miss') later.flight?.abandon();
      },
      (error: Error) => session.fail(error),
    );
    return () => undefined;
  });
}

function take(session: Session, unit: Unit, found: Lookup): Outcome {
  if (found.kind === 'hit') {
    unit.cache.label = 'hit';
    answer(session, unit, found.parts);
    return 'done';
  }
  if (found.kind === 'miss') {
    unit.cache.label = 'miss';
    unit.cache.why = found.why;
    unit.cache.flight = found.flight;
    if (found.flight !== undefined) unit.cache.capture = new Capture(session.services.maxEntrySizeBytes());
  }
  return 'find server';
}

/** A cached answer is complete, with its ReadyForQuery. The client now has the statements that its batch has parsed. */
function answer(session: Session, unit: Unit, parts: readonly Buffer[]): void {
  for (const part of parts) session.say(part);
  session.move(unit, 'answered by Weir');
  session.intake.entered(unit);
  session.lastUnit = unit;
  for (const message of unit.messages ?? []) {
    if (message.type === Frontend.Parse) enterParsed(session, message, parts);
  }
  countAnswer(session, unit);
}
