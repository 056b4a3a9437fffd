/**
 * Decides which node is the primary from what the nodes report about themselves; a pure function. The highest timeline
 * wins; the configuration only breaks the first tie. In doubt there is no primary rather than a wrong one. Called by
 * assess.ts.
 */

/** A node's last answer; `isInRecovery` undefined: it has not answered yet, or its connection is lost. */
export interface Contender {
  readonly name: string;
  readonly isInRecovery: boolean | undefined;
  readonly timeline: number | undefined;
  readonly systemId: string | undefined;
  /** NodeIdentity.serverId */
  readonly serverId?: string | undefined;
  /** NodeIdentity.hasNoWal */
  readonly hasNoWal?: boolean;
}

/** The last elected primary, which may be down now; `timeline` and `systemId` as of its last election. */
export interface Incumbent {
  readonly index: number;
  readonly timeline: number | undefined;
  readonly systemId: string | undefined;
  /** It has answered as a primary without interruption up to the last election. */
  readonly isStanding: boolean;
}

export interface Election {
  /** Index of the primary; undefined: no node is, at present. */
  readonly winner: number | undefined;
  /** Why a node that reports itself as a primary is not accepted, by index. */
  readonly refusals: ReadonlyMap<number, string>;
}

const timelineOf = (node: { readonly timeline: number | undefined }): number => node.timeline ?? 0;

function isForeign(node: Contender, systemId: string | undefined): boolean {
  return systemId !== undefined && node.systemId !== undefined && node.systemId !== systemId;
}

/**
 * @param incumbent the last elected primary; undefined: none was elected yet
 * @param configured index of the node that the configuration calls primary: preferred when no primary was elected yet
 * @param isSettled every node has answered or failed once, or had time to; before that there is no first election
 */
export function elect(
  nodes: readonly Contender[],
  incumbent: Incumbent | undefined,
  configured: number,
  isSettled: boolean,
): Election {
  const refusals = new Map<number, string>();
  if (incumbent === undefined && !isSettled) return { winner: undefined, refusals };

  const all: number[] = [];
  for (const [index, node] of nodes.entries()) {
    if (node.isInRecovery !== false) continue;
    if (incumbent !== undefined && index !== incumbent.index && isForeign(node, incumbent.systemId)) {
      refusals.set(index, `belongs to another cluster (system identifier ${node.systemId}, not ${incumbent.systemId})`);
    } else {
      all.push(index);
    }
  }
  const claimants = withoutTwins(nodes, all, incumbent?.index ?? configured, refusals);
  const isThere = incumbent?.isStanding === true && nodes[incumbent.index]?.isInRecovery === false;
  const winner = isThere
    ? challenge(nodes, claimants, incumbent, refusals)
    : succeed(nodes, claimants, incumbent, configured, refusals);
  return { winner, refusals };
}

/** A server that is named under two addresses is one claimant, or it would stand in its own way. */
function withoutTwins(
  nodes: readonly Contender[],
  claimants: readonly number[],
  preferred: number,
  refusals: Map<number, string>,
): readonly number[] {
  return claimants.filter((index) => {
    const { serverId } = nodes[index]!;
    const twins = serverId === undefined ? [index] : claimants.filter((other) => nodes[other]!.serverId === serverId);
    const kept = twins.includes(preferred) ? preferred : twins[0]!;
    if (kept !== index) refusals.set(index, `is ${nodes[kept]!.name} under another address`);
    return kept === index;
  });
}

/** The incumbent still answers as a primary: only a higher timeline replaces it. */
function challenge(
  nodes: readonly Contender[],
  claimants: readonly number[],
  incumbent: Incumbent,
  refusals: Map<number, string>,
): number {
  let winner = incumbent.index;
  for (const index of claimants) {
    if (timelineOf(nodes[index]!) > timelineOf(nodes[winner]!)) winner = index;
  }
  refuseOthers(nodes, claimants, winner, refusals);
  return winner;
}

/**
 * There is no incumbent, or it has not answered as a primary without interruption. The winner must not be behind any
 * node of its cluster.
 */
function succeed(
  nodes: readonly Contender[],
  claimants: readonly number[],
  incumbent: Incumbent | undefined,
  configured: number,
  refusals: Map<number, string>,
): number | undefined {
  const preferred = incumbent?.index ?? configured;
  let winner: number | undefined;
  let isTied = false;
  for (const index of claimants) {
    const node = nodes[index]!;
    const obstacle = whyBehind(nodes, index, incumbent);
    if (obstacle !== undefined) {
      refusals.set(index, obstacle);
    } else if (winner === undefined || timelineOf(node) > timelineOf(nodes[winner]!)) {
      winner = index;
      isTied = false;
    } else if (timelineOf(node) === timelineOf(nodes[winner]!)) {
      if (index === preferred) winner = index;
      isTied = winner !== preferred;
    }
  }
  if (winner !== undefined && isTied) {
    const timeline = timelineOf(nodes[winner]!);
    for (const index of claimants) {
      if (!refusals.has(index))
        refusals.set(index, `is not the only one that claims to be the primary on timeline ${timeline}`);
    }
    return undefined;
  }
  if (winner !== undefined) refuseOthers(nodes, claimants, winner, refusals);
  return winner;
}

function whyBehind(nodes: readonly Contender[], index: number, incumbent: Incumbent | undefined): string | undefined {
  const node = nodes[index]!;
  const timeline = timelineOf(node);
  if (incumbent !== undefined) {
    const isRebuilt = index === incumbent.index && isForeign(node, incumbent.systemId);
    const isNewer = timeline > timelineOf(incumbent);
    const isSame = index === incumbent.index && timeline === timelineOf(incumbent);
    if (!isRebuilt && !isNewer && !isSame && !hasYielded(nodes[incumbent.index]!, incumbent, node)) {
      return `claims to be the primary on timeline ${timeline}, but ${nodes[incumbent.index]!.name} was on ${timelineOf(incumbent)}`;
    }
  }
  for (const other of nodes) {
    if (other.isInRecovery === true && !isForeign(other, node.systemId) && timelineOf(other) > timeline) {
      return `claims to be the primary on timeline ${timeline}, but ${other.name} already follows timeline ${timelineOf(other)}`;
    }
  }
  return undefined;
}

/** Servers that tell no timeline (NodeIdentity.hasNoWal): the old primary must say itself that it is a standby now. */
function hasYielded(old: Contender, { timeline }: Incumbent, node: Contender): boolean {
  const areSilent = old.hasNoWal === true && node.hasNoWal === true && timeline === undefined;
  return areSilent && old.isInRecovery === true;
}

function refuseOthers(
  nodes: readonly Contender[],
  claimants: readonly number[],
  winner: number,
  refusals: Map<number, string>,
): void {
  const best = nodes[winner]!;
  for (const index of claimants) {
    if (index === winner || refusals.has(index)) continue;
    const timeline = timelineOf(nodes[index]!);
    refusals.set(
      index,
      timeline < timelineOf(best)
        ? `is a stale primary on timeline ${timeline}; ${best.name} is the primary on ${timelineOf(best)}`
        : `also claims to be the primary on timeline ${timeline}, beside ${best.name}: two primaries?`,
    );
  }
}
