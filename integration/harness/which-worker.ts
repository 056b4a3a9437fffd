/**
 * For tests of what one process does, in a Weir that may have several workers (WEIR_TEST_WORKERS): all clients come to the same
 * worker, or there is a client in each. With one process both are so anyway.
 */
import pg from 'pg';
import { until } from './until.ts';
import { workersOfTests } from './weir.ts';
import type { WeirAddresses } from './weir.ts';
import { workerOf } from './workers.ts';

/**
 * From now on clients come to the same worker, while no more than `atOnce` are connected: the other workers have more,
 * which stay until Weir ends.
 */
export async function fillOtherWorkers(weir: Pick<WeirAddresses, 'adminUrl'>, atOnce = 3): Promise<void> {
  const workers = workersOfTests() ?? 1;
  if (workers === 1) return;
  const connect = (): Promise<pg.Client> => connectedTo(weir.adminUrl());
  const each = await clientsOfEach(connect, workers, atOnce + 1);
  const chosen = each.keys().next().value;
  await Promise.all((each.get(chosen!) ?? []).map((client) => client.end()));
  await until('clients to come to the same worker', async () => {
    const client = await connect();
    await client.end();
    return workerOf(client, workers) === chosen;
  });
}

/** One client in each worker. */
export async function connectToEach(
  connect: () => Promise<pg.Client>,
  workers = workersOfTests() ?? 1,
): Promise<pg.Client[]> {
  if (workers === 1) return [await connect()];
  const each = [...(await clientsOfEach(connect, workers, 1)).values()];
  await Promise.all(each.flatMap(([, ...more]) => more.map((client) => client.end())));
  return each.map(([client]) => client!);
}

/** Another client of the same worker. */
export function connectBeside(client: pg.Client, connect: () => Promise<pg.Client>): Promise<pg.Client> {
  return connectBesideBy(client, connect, (of) => of);
}

/** The same for other kinds of clients. @param keyOf what the client was told at its log-in */
export async function connectBesideBy<T>(
  client: T,
  connect: () => Promise<T>,
  keyOf: (of: T) => Parameters<typeof workerOf>[0],
): Promise<T> {
  const workers = workersOfTests() ?? 1;
  const numberOf = (of: T): number => workerOf(keyOf(of), workers);
  for (let i = 0; i < 10 * workers; i++) {
    const other = await connect();
    if (workers === 1 || numberOf(other) === numberOf(client)) return other;
  }
  throw new Error('no client comes to that worker');
}

/** By the number of the worker, until there are as many in each. */
async function clientsOfEach(
  connect: () => Promise<pg.Client>,
  workers: number,
  least: number,
): Promise<Map<number, pg.Client[]>> {
  const each = new Map<number, pg.Client[]>();
  await until(`${least} clients in each worker`, async () => {
    const client = await connect();
    const worker = workerOf(client, workers);
    each.set(worker, [...(each.get(worker) ?? []), client]);
    return each.size === workers && [...each.values()].every((those) => those.length >= least);
  });
  return each;
}

async function connectedTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
