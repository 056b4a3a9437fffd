/** Answers a read from the cache, if it can. Called by handle-request.ts for reads that may be cached. */
import { Frontend } from '../../protocol/codes.ts';
import { Capture } from '../../cache/capture.ts';
import type { Lookup } from '../../cache/types.ts';
import { cacheKey, cacheStretch, cacheTags, cacheTtlMs, consistencyOf } from '../cacheable.ts';
import { countAnswer } from '../count.ts';
import { enterParsed } from '../prepared/from-cache.ts';
import type { Outcome, Session } from '../../session/session.ts';
import type { Request } from '../../session/request.ts';

export function lookUp(session: Session, request: Request): Outcome {
  const { cache } = session.services;
  const { ticker } = session.database.topology;
  const tags = cacheTags(session, request);
  const { seen, tokens } = session.concerns.freshness;
  if (seen.isUnproven && tokens.schema.isThere(session.database.topology.schema)) seen.proven();
  const consistency = consistencyOf(session, request);
  const found = cache.lookup(
    cacheKey(session, request),
    tags,
    cacheTtlMs(session, request),
    seen,
    ticker,
    consistency === 'strict',
    cacheStretch(session, request, consistency),
  );
  if (found.kind !== 'wait') return take(session, request, found);
  return session.waitFor('cache', request, (goOn) => {
    found.result.then(
      (later) => {
        if (!goOn(() => take(session, request, later)) && later.kind === 'miss') later.flight?.abandon();
      },
      (error: Error) => session.fail(error),
    );
    return () => undefined;
  });
}

function take(session: Session, request: Request, found: Lookup): Outcome {
  if (found.kind === 'hit') {
    request.cache.label = 'hit';
    answer(session, request, found.parts);
    return 'done';
  }
  if (found.kind === 'miss') {
    request.cache.label = 'miss';
    request.cache.why = found.why;
    request.cache.flight = found.flight;
    if (found.flight !== undefined) request.cache.capture = new Capture(session.services.maxEntrySizeBytes());
  }
  return 'find server';
}

/** A cached answer includes its ReadyForQuery. Enters the statements that the batch has parsed. */
function answer(session: Session, request: Request, parts: readonly Buffer[]): void {
  for (const part of parts) session.say(part);
  session.move(request, 'answered by Weir');
  session.intake.entered(request);
  session.wasAnswered(request);
  for (const message of request.messages ?? []) {
    if (message.type === Frontend.Parse) enterParsed(session, message, parts);
  }
  countAnswer(session, request);
}
