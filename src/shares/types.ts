/**
 * What Weirs say to each other about the connections that one server can spare for all of them. Types only.
 */

/** One Weir, in the ledger of a server. All times are of the clock of Redis. */
export interface Member {
  readonly id: string;
  /** Number of the last thing it said. */
  readonly seq: number;
  /** The most that it may let itself have, whatever it has heard. */
  readonly limit: number;
  /** Connections that it has, being opened and being closed ones included. */
  readonly open: number;
  /** Connections that its clients use or wait for, and what it would like to have. */
  readonly need: number;
  readonly want: number;
  /** What the server can spare for all Weirs, as this one believes; undefined: it does not know. */
  readonly budget: number | undefined;
  /** The backends of its connections. */
  readonly pids: readonly number[];
  readonly lastMs: number;
  /** It is late, and since then no look at the server has shown its monitor. */
  readonly absentMs: number | undefined;
  /** It opens no connections any more. */
  readonly isLeaving: boolean;
}

/** Who may have how many connections to one server: the value of one key in Redis. */
export interface Ledger {
  /** Since when it is kept without a break: for a while nobody may grow, because there may be Weirs that it does not know. */
  readonly sinceMs: number;
  readonly lastMs: number;
  /** Of the Redis that has it: after a restart, or in a replica, the last changes may be lost. */
  readonly run: string;
  readonly members: ReadonlyMap<string, Member>;
}

/** What one Weir says of itself. */
export interface Said extends Pick<
  Member,
  'id' | 'seq' | 'limit' | 'open' | 'need' | 'want' | 'budget' | 'pids' | 'isLeaving'
> {
  readonly seen: Seen | undefined;
}

/** What a look at pg_stat_activity has shown. */
export interface Seen {
  /** When Redis had answered what was asked before the look. */
  readonly askedMs: number;
  /** Weirs whose monitor is logged in, and the limit that it shows. */
  readonly monitors: readonly Pick<Shown, 'id' | 'limit'>[];
  /** Late Weirs whose monitor is not, and how many backends may be theirs. */
  readonly absent: readonly { readonly id: string; readonly seq: number; readonly left: number }[];
}

/** What the monitor of a Weir shows at the server. */
export interface Shown {
  readonly id: string;
  readonly limit: number;
  readonly open: number;
}

/** What a Weir without Redis knows of the others. */
export interface Others {
  readonly monitors: readonly Shown[];
  /** Connections to the server that are not its own, whoever has them. */
  readonly connections: number;
}

/** A Weir that has said nothing for a while. */
export interface Late extends Pick<Member, 'id' | 'seq' | 'pids'> {
  readonly silentMs: number;
  /** For so long its monitor was not seen; undefined: it was, or nobody has looked. */
  readonly absentForMs: number | undefined;
}

/** Why a Weir may not have more. */
export type ShareReason =
  'need met' | 'fair share' | 'others close first' | 'ledger is new' | 'budget unknown' | 'leaving';

export interface Answer {
  /** How many connections the Weir may have. */
  readonly limit: number;
  /** For all; undefined: nobody knows. */
  readonly budget: number | undefined;
  /** Weirs that take part. */
  readonly weirs: number;
  readonly why: ShareReason;
  readonly atMs: number;
  readonly late: readonly Late[];
  /** Backends of the others. */
  readonly claimed: readonly number[];
}

export type Decision =
  | { readonly kind: 'answer'; readonly ledger: Ledger; readonly answer: Answer }
  /** Something newer of this Weir was heard before. */
  | { readonly kind: 'overtaken' }
  /** Too many Weirs. */
  | { readonly kind: 'full' };

/** What a Weir has and needs on one server, all its processes together. */
export interface Usage {
  readonly open: number;
  readonly need: number;
  readonly want: number;
  readonly pids: readonly number[];
}

/** How the limit of a Weir came about. */
export type ShareState =
  /** Redis has not answered yet, and is not known to be gone. */
  | 'starting'
  | 'granted'
  /** Redis is gone: no growth above what it had granted, or budget.share. */
  | 'without Redis'
  /** Redis and the server do not answer: no growth at all. */
  | 'unseen';

/** A row of SHOW CONNECTION_BUDGET. */
export interface ConnectionBudgetFigures {
  /** host:port */
  readonly server: string;
  /** For all Weirs together; undefined: not known yet. */
  readonly budget: number | undefined;
  readonly from: 'budget.max_connections' | 'server';
  /** budget.share */
  readonly share: number;
  /** What this Weir may have now, and has. */
  readonly limit: number;
  readonly open: number;
  /** Weirs that share the server; undefined: Redis has not said. */
  readonly weirs: number | undefined;
  readonly state: ShareState | 'fixed share';
  readonly why: string;
  /** Seconds in which pools wanted a connection and did not get one, by ShareReason or ShareState. */
  readonly refusals: Readonly<Record<string, number>>;
}
