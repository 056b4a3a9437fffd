/** Prints docs/states.md from the tables of states (npm run docs). */
import { serverEventMeanings, serverStateMeanings, serverStates } from '../backend/server-state.ts';
import { circuitEventMeanings, circuitStateMeanings, circuitStates } from '../topology/circuit-state.ts';
import { requestEventMeanings, requestStateMeanings, requestStates } from './request-state.ts';
import { cancellableWaits, shortWaits } from './waits.ts';

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;
  return line(heads) + line(heads.map(() => '---')) + rows.map(line).join('');
}

type States = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** The table of states, a row for each with the events that move it, and the table of events. */
function machine(states: States, meanings: Readonly<Record<string, string>>, events: Readonly<Record<string, string>>) {
  const rows = Object.entries(states).map(([state, row]) => {
    const moves = Object.entries(row).map(([event, next]) => `${event} → **${next}**`);
    return [state, meanings[state] ?? '', moves.join('<br>') || '-'];
  });
  return `${table(['state', 'meaning', 'what moves it'], rows)}
${table(['event', 'meaning'], Object.entries(events))}`;
}

function waitRows(waits: typeof cancellableWaits | typeof shortWaits): (readonly string[])[] {
  return Object.entries(waits).map(([kind, { until, atMost }]) => [kind, until, atMost]);
}

export function statesPage(): string {
  return `# States

<!-- Made by \`npm run docs\` from src/session/request-state.ts, src/session/waits.ts, src/backend/server-state.ts and
src/topology/circuit-state.ts: change it there. -->

An event that is not in the row of a state is a bug of Weir's: it is counted (\`weir_unexpected_errors_total\`), logged, and
closes that one connection.

## A request

A Query, a FunctionCall, or a batch of the extended protocol up to its Sync.

${machine(requestStates, requestStateMeanings, requestEventMeanings)}
## What a client can wait for

Weir handles the requests of a client one after the other. While one waits, no more messages of that client are handled; \`SHOW CLIENTS\`
says that it waits, and so does the log line of the watchdog, which closes a client or server that is stuck. These waits end at once when a CancelRequest comes, or when the client is gone:

${table(['what', 'ends when', 'at most'], waitRows(cancellableWaits))}
These are short. A CancelRequest that comes meanwhile is remembered, and the request is not sent:

${table(['what', 'ends when', 'at most'], waitRows(shortWaits))}
## A server connection

From the end of its log-in to its end. \`SHOW SERVERS\` calls "shared" active, and "being cancelled" and "resetting" tested;
"unassigned" lasts no longer than a function call.

${machine(serverStates, serverStateMeanings, serverEventMeanings)}
## The circuit of a node

The circuit breaker of each node of a database: \`SHOW NODES\` has it as \`circuit\`, with the reason. Each worker has its own.
An event that is not in the row of a state changes nothing.

${machine(circuitStates, circuitStateMeanings, circuitEventMeanings)}`;
}
