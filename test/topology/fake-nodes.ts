/** Nodes that answer probes as a test tells them to: a ConnectProbe without sockets. */
import type { Catalog } from '../../src/catalog/types.ts';
import { ProbeError } from '../../src/topology/probe.ts';
import type { ConnectProbe, ProbeConnection, ProbeFailure, ProbeSample } from '../../src/topology/samples.ts';
import { identity } from './fixtures.ts';

export interface FakeNode {
  sample: ProbeSample;
  /** Why nobody can connect; undefined: it runs. */
  down: ProbeFailure | undefined;
  /** Probes sent so far. */
  probes: number;
  /** Connections open right now. */
  open: number;
  connects: number;
  systemId: string;
  /** Answers wait until this is resolved. */
  hold: Promise<void> | undefined;
  /** Ends all its connections. */
  cut(problem: string): void;
}

export interface FakeCluster {
  readonly connect: ConnectProbe;
  node(name: string): FakeNode;
}

export function fakeCluster(names: readonly string[]): FakeCluster {
  const losers = new Map<string, Set<(failure: ProbeFailure) => void>>();
  const nodes = new Map<string, FakeNode>();
  for (const [index, name] of names.entries()) {
    const listeners = new Set<(failure: ProbeFailure) => void>();
    losers.set(name, listeners);
    nodes.set(name, {
      sample: { isInRecovery: index > 0, lsn: 1000, timeline: 1 },
      down: undefined,
      probes: 0,
      open: 0,
      connects: 0,
      systemId: 'A',
      hold: undefined,
      cut(problem) {
        for (const lost of [...listeners]) lost({ problem, isStopped: false });
      },
    });
  }
  const node = (name: string): FakeNode => {
    const found = nodes.get(name);
    if (found === undefined) throw new Error(`no fake node ${name}`);
    return found;
  };

  const connect: ConnectProbe = async (config, onLost) => {
    const server = node(config.name);
    server.connects++;
    await Promise.resolve();
    if (server.down !== undefined) throw new ProbeError(server.down.problem, server.down.isStopped);
    let isOpen = true;
    server.open++;
    const end = (): void => {
      if (!isOpen) return;
      isOpen = false;
      server.open--;
      losers.get(config.name)?.delete(lost);
    };
    const lost = (failure: ProbeFailure): void => {
      end();
      onLost(failure);
    };
    losers.get(config.name)?.add(lost);
    const connection: ProbeConnection = {
      identity: identity(server.systemId),
      async probe() {
        server.probes++;
        const { sample } = server;
        await server.hold;
        return sample;
      },
      query: () => Promise.resolve([]),
      close() {
        end();
        return Promise.resolve();
      },
    };
    return connection;
  };
  return { connect, node };
}

/** Nobody in this room looks into a catalog: its number is enough. */
export function fakeCatalog(version: number): Catalog {
  const fake: Partial<Catalog> = { version };
  return fake as Catalog;
}
