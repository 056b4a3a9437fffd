/** Made-up configuration and identities for the tests of this room. */
import type { DatabaseConfig, NodeConfig, PoolSettings, TlsSide } from '../../src/config/config.ts';
import type { NodeIdentity } from '../../src/topology/samples.ts';
import { defaults } from '../config/defaults.ts';

export const pool: PoolSettings = {
  ...defaults.pool,
  poolMode: 'transaction',
  defaultPoolSize: 20,
  minPoolSize: 0,
  maxPoolSize: 100,
  maxDbConnections: 0,
  queryWaitTimeoutMs: 30_000,
  serverLifetimeMs: 3_600_000,
  serverIdleTimeoutMs: 600_000,
  serverRoundRobin: false,
  serverConnectTimeoutMs: 5000,
  serverLoginRetryMs: 1000,
  clientIdleTimeoutMs: 0,
  idleTransactionTimeoutMs: 0,
  maxPreparedStatements: 500,
};

export const noTls: TlsSide = { mode: 'disable', cert: undefined, key: undefined, ca: undefined };

export function nodeConfig(name: string, more: Partial<NodeConfig> = {}): NodeConfig {
  return {
    name,
    host: name,
    port: 5432,
    database: undefined,
    user: 'monitor',
    password: 'secret',
    weight: 1,
    ...more,
  };
}

/** db1 is the primary, db2 ... the replicas. */
export function databaseConfig(replicas: number): DatabaseConfig {
  return {
    name: 'shop',
    primary: nodeConfig('db1'),
    replicas: Array.from({ length: replicas }, (_, index) => nodeConfig(`db${index + 2}`)),
    pool,
  };
}

export function identity(systemId: string | undefined = 'A'): NodeIdentity {
  return { systemId, serverVersion: '18.4', connectionLimit: 97, seesWalReceiver: true, limitation: undefined };
}
