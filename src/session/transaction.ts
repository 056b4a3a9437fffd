/**
 * A transaction as the server tells of it: CommandComplete, ErrorResponse and the status of ReadyForQuery, in that order,
 * move what was written from "still open" to "committed" or "rolled back". A table without memory of its own, so that every
 * cell can be tested; concerns/writes.ts acts on it. Where the server leaves a doubt, the answer is "committed".
 */
import type { StatementFacts } from '../sql/facts.ts';

/**
 * implicit: outside a transaction block; what has been done is committed when ReadyForQuery comes. none: the same, and
 * nothing has been done since the last transaction ended. skipped: an error outside a block took back what was implicit,
 * and what follows is skipped.
 */
export type Phase = 'implicit' | 'none' | 'block' | 'failed' | 'skipped';

export type TransactionEvent =
  | 'begin'
  | 'commit'
  | 'commit and chain'
  | 'rollback'
  | 'rollback and chain'
  /** ROLLBACK TO SAVEPOINT, or a ROLLBACK of which nobody knows which of the two it was. */
  | 'rollback to'
  /** CALL, DO, COMMIT PREPARED, a text that could not be read: outside a block it may have committed by itself. */
  | 'program'
  | 'other'
  | 'error'
  /** The same of something that may have committed before it failed. */
  | 'program error'
  /** ReadyForQuery: I, T, E. */
  | 'idle'
  | 'in block'
  | 'in failed block';

/** What becomes of everything written since the last commit. */
export type Fate = 'open' | 'committed' | 'rolled back';

type Cell = readonly [next: Phase, fate: Fate];

const table: Readonly<Record<Phase, Readonly<Record<TransactionEvent, Cell>>>> = {
  implicit: {
    begin: ['block', 'open'],
    commit: ['none', 'committed'],
    'commit and chain': ['block', 'committed'],
    rollback: ['none', 'rolled back'],
    'rollback and chain': ['block', 'rolled back'],
    'rollback to': ['implicit', 'open'],
    program: ['implicit', 'committed'],
    other: ['implicit', 'open'],
    error: ['skipped', 'open'],
    'program error': ['skipped', 'committed'],
    idle: ['implicit', 'committed'],
    'in block': ['block', 'open'],
    'in failed block': ['failed', 'open'],
  },
  none: {
    begin: ['block', 'open'],
    commit: ['none', 'committed'],
    'commit and chain': ['block', 'committed'],
    rollback: ['none', 'rolled back'],
    'rollback and chain': ['block', 'rolled back'],
    'rollback to': ['none', 'open'],
    program: ['implicit', 'committed'],
    other: ['implicit', 'open'],
    error: ['skipped', 'open'],
    'program error': ['skipped', 'committed'],
    idle: ['implicit', 'rolled back'],
    'in block': ['block', 'open'],
    'in failed block': ['failed', 'open'],
  },
  block: {
    begin: ['block', 'open'],
    commit: ['none', 'committed'],
    'commit and chain': ['block', 'committed'],
    rollback: ['none', 'rolled back'],
    'rollback and chain': ['block', 'rolled back'],
    'rollback to': ['block', 'open'],
    // Nothing can commit by itself in a block.
    program: ['block', 'open'],
    other: ['block', 'open'],
    error: ['failed', 'open'],
    'program error': ['failed', 'open'],
    // Its end was not seen.
    idle: ['implicit', 'committed'],
    'in block': ['block', 'open'],
    'in failed block': ['failed', 'open'],
  },
  failed: {
    begin: ['failed', 'open'],
    commit: ['none', 'committed'],
    'commit and chain': ['block', 'committed'],
    rollback: ['none', 'rolled back'],
    'rollback and chain': ['block', 'rolled back'],
    'rollback to': ['block', 'open'],
    program: ['failed', 'open'],
    other: ['failed', 'open'],
    error: ['failed', 'open'],
    'program error': ['failed', 'open'],
    idle: ['implicit', 'committed'],
    'in block': ['block', 'open'],
    'in failed block': ['failed', 'open'],
  },
  skipped: {
    begin: ['block', 'open'],
    commit: ['none', 'committed'],
    'commit and chain': ['block', 'committed'],
    rollback: ['none', 'rolled back'],
    'rollback and chain': ['block', 'rolled back'],
    'rollback to': ['skipped', 'open'],
    program: ['implicit', 'committed'],
    other: ['implicit', 'open'],
    error: ['skipped', 'open'],
    'program error': ['skipped', 'committed'],
    idle: ['implicit', 'rolled back'],
    'in block': ['block', 'open'],
    'in failed block': ['failed', 'open'],
  },
};

export function after(phase: Phase, event: TransactionEvent): Cell {
  return table[phase][event];
}

/** What a CommandComplete says. `facts` are those of the statement, if they are known; the tag has the last word. */
export function eventOf(tag: string, facts: StatementFacts | undefined): TransactionEvent {
  switch (tag) {
    case 'BEGIN':
    case 'START TRANSACTION':
      return 'begin';
    case 'COMMIT':
      return facts?.chains === true ? 'commit and chain' : 'commit';
    // What it has written becomes visible with COMMIT PREPARED; until then it is nobody's any more.
    case 'PREPARE TRANSACTION':
      return 'commit';
    case 'ROLLBACK':
      return rollbackOf(facts);
    case 'CALL':
    case 'DO':
    case 'COMMIT PREPARED':
      return 'program';
    default:
      return 'other';
  }
}

/** ROLLBACK TO SAVEPOINT says ROLLBACK, too, and so does the COMMIT of a failed transaction. */
function rollbackOf(facts: StatementFacts | undefined): TransactionEvent {
  switch (facts?.transaction) {
    case 'commit':
    case 'rollback':
      return facts.chains ? 'rollback and chain' : 'rollback';
    case 'prepare-transaction':
      return 'rollback';
    default:
      return 'rollback to';
  }
}

/**
 * Outside a block it commits by itself, perhaps step by step (CONCURRENTLY) and before it fails. VACUUM and the like commit
 * what came before them in a batch as well, in PostgreSQL before 15.
 */
export function commitsByItself({ kind, transaction }: StatementFacts, template: string): boolean {
  switch (kind) {
    case 'call':
    case 'do':
    case 'unknown':
    case 'maintenance':
      return true;
    case 'ddl':
      return /\bconcurrently\b/i.test(template);
    default:
      return transaction === 'commit-prepared';
  }
}
