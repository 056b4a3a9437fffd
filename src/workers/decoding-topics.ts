/**
 * How well writes around Weir are known: said by the lead, who reads the WAL of the primaries, to all other workers. Types only.
 */

export interface CoveredDatabase {
  /** Catalog.tagPrefix. */
  readonly prefix: string;
  /** Cached answers may be shown until then: a SharedTime. */
  readonly untilMs: number;
  /** OIDs of the tables whose writes are seen. */
  readonly roots: readonly number[];
}

export interface DecodingTopicsOfWorker {
  /** A client of this worker uses the database of that name: the lead is to read its WAL. Said again every few seconds. */
  readonly decode: { readonly body: string; readonly reply: void };
  readonly covered: {
    readonly body: { readonly term: number; readonly database: CoveredDatabase };
    readonly reply: void;
  };
}

export interface DecodingTopicsOfSupervisor {
  readonly decode: { readonly body: string; readonly reply: void };
  readonly covered: { readonly body: CoveredDatabase; readonly reply: void };
}
