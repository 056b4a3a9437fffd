/**
 * Follows a transaction by the server's messages: CommandComplete, ErrorResponse and the status in ReadyForQuery move
 * what was written from "open" to "committed" or "rolled back". A table without state, so that every cell can be
 * tested; used by concerns/writes.ts. In doubt the result is "committed".
 */
import { TxStatus } from '../protocol/codes.ts';
import type { StatementFacts } from '../sql/facts.ts';

/**
 * implicit: outside a transaction block; ReadyForQuery commits what has been done. none: the same, and nothing was
 * done since the last transaction ended. skipped: an error outside a block rolled back the implicit transaction, and
 * the following messages are skipped.
 */
export type Phase = 'implicit' | 'none' | 'block' | 'failed' | 'skipped';

export type TransactionEvent =
  | 'begin'
  | 'commit'
  | 'commit and chain'
  | 'rollback'
  | 'rollback and chain'
  /** ROLLBACK TO SAVEPOINT, or a ROLLBACK that may be one. */
  | 'rollback to'
  /** CALL, DO, COMMIT PREPARED, a text that could not be parsed: outside a block it may have committed by itself. */
  | 'program'
  | 'other'
  | 'error'
  /** An error of a statement that may have committed before it failed. */
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
    // Inside a block no statement can commit by itself.
    program: ['block', 'open'],
    other: ['block', 'open'],
    error: ['failed', 'open'],
    'program error': ['failed', 'open'],
    // The end of the block was not seen.
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

/**
 * @param tag of a CommandComplete; it decides
 * @param facts of the statement, if known; used where the tag is ambiguous
 */
export function eventOf(tag: string, facts: StatementFacts | undefined): TransactionEvent {
  switch (tag) {
    case 'BEGIN':
    case 'START TRANSACTION':
      return 'begin';
    case 'COMMIT':
      return facts?.chains === true ? 'commit and chain' : 'commit';
    // Its writes become visible with COMMIT PREPARED; until then they belong to no session.
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

/** The tag of ROLLBACK TO SAVEPOINT is ROLLBACK, too, and so is that of a COMMIT of a failed transaction. */
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
 * @returns true if the statement, outside a block, commits by itself, perhaps step by step (CONCURRENTLY) and before
 * it fails. Before PostgreSQL 15, VACUUM and the like also commit what preceded them in a batch.
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

/** @param status in ReadyForQuery */
export function phaseOf(status: number): Phase {
  if (status === TxStatus.Idle) return 'implicit';
  return status === TxStatus.InTransaction ? 'block' : 'failed';
}

/** @param status in ReadyForQuery */
export function readyEvent(status: number): TransactionEvent {
  if (status === TxStatus.Idle) return 'idle';
  return status === TxStatus.InTransaction ? 'in block' : 'in failed block';
}
