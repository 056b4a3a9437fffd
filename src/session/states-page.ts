/** Prints docs/states.md from the tables of states (npm run docs). */
import { requestEventMeanings, requestStateMeanings, requestStates, type RequestEvent } from './request-state.ts';
import { cancellableWaits, shortWaits } from './waits.ts';

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(heads) + line(heads.map(() => '---')) + rows.map(line).join('');
}

/** A row for each state, with the events that move it. */
function transitions(): (readonly string[])[] {
  return Object.entries(requestStates).map(([state, row]) => {
    const moves = Object.entries(row).map(([event, next]) => `${event} → **${next}**`);
    return [state, requestStateMeanings[state as keyof typeof requestStates], moves.join('<br>') || '-'];
  });
}

function waitRows(waits: typeof cancellableWaits | typeof shortWaits): (readonly string[])[] {
  return Object.entries(waits).map(([kind, { until, atMost }]) => [kind, until, atMost]);
}

export function statesPage(): string {
  const events = Object.entries(requestEventMeanings) as [RequestEvent, string][];
  return `# States

<!-- Made by \`npm run docs\` from src/session/request-state.ts and src/session/waits.ts: change it there. -->

An event that is not in the row of a state is a bug of Weir's: it is counted (\`weir_unexpected_errors_total\`), logged, and
closes that one connection.

## A request

A Query, a FunctionCall, or a batch of the extended protocol up to its Sync.

${table(['state', 'meaning', 'what moves it'], transitions())}
${table(['event', 'meaning'], events)}
## What a client can wait for

A client reads its messages one after the other. While it waits, nothing more is read of it; the log line of the watchdog and
\`SHOW CLIENTS\` say that it waits. These waits end at once when a CancelRequest comes, or when the client is gone:

${table(['what', 'ends when', 'at most'], waitRows(cancellableWaits))}
These are short. A CancelRequest that comes meanwhile is remembered, and the request is not sent:

${table(['what', 'ends when', 'at most'], waitRows(shortWaits))}`;
}
