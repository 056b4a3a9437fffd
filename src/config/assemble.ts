/**
 * Makes the configuration that the other rooms read (config.ts) from the values of the table of settings, and the values
 * from a configuration. Called by load.ts, change.ts and show.ts.
 */
import type { Config, PoolSettings } from './config.ts';
import type { FieldsOf, Rows, ValuesIn } from './setting.ts';
import { connectionBudgetRows } from './settings-connection-budget.ts';
import { authRows, tlsClientRows, tlsServerRows } from './settings-auth.ts';
import { limitRows } from './settings-limits.ts';
import { generalRows, poolRows } from './settings-pools.ts';
import { cacheRows, routingRows } from './settings-reads.ts';
import { statementLogRows, statementRows } from './settings-statements.ts';
import { tracingRows } from './settings-tracing.ts';
import type { SettingKey, SettingValues } from './settings.ts';
import { forecastRows, logRows, resizeRows, settingKeys, settingOf } from './settings.ts';

export function assemblePool(values: SettingValues): PoolSettings {
  return fieldsOf(poolRows, values);
}

/** The sections whose keys are names. */
type Named = Pick<Config, 'databases' | 'users'>;

export function assemble(values: SettingValues, { databases, users }: Named): Config {
  return {
    ...fieldsOf(generalRows, values),
    pool: assemblePool(values),
    limits: fieldsOf(limitRows, values),
    budget: fieldsOf(connectionBudgetRows, values),
    auth: fieldsOf(authRows, values),
    tls: { client: fieldsOf(tlsClientRows, values), server: fieldsOf(tlsServerRows, values) },
    databases,
    users,
    routing: fieldsOf(routingRows, values),
    cache: fieldsOf(cacheRows, values),
    resize: fieldsOf(resizeRows, values),
    forecast: fieldsOf(forecastRows, values),
    log: fieldsOf(logRows, values),
    tracing: fieldsOf(tracingRows, values),
    statements: { ...fieldsOf(statementRows, values), ...fieldsOf(statementLogRows, values) },
  };
}

/** The inverse of `assemble`. */
export function valuesOf(config: Config): SettingValues {
  return {
    ...valuesIn(generalRows, config),
    ...valuesIn(poolRows, config.pool),
    ...valuesIn(limitRows, config.limits),
    ...valuesIn(connectionBudgetRows, config.budget),
    ...valuesIn(authRows, config.auth),
    ...valuesIn(tlsClientRows, config.tls.client),
    ...valuesIn(tlsServerRows, config.tls.server),
    ...valuesIn(routingRows, config.routing),
    ...valuesIn(cacheRows, config.cache),
    ...valuesIn(resizeRows, config.resize),
    ...valuesIn(forecastRows, config.forecast),
    ...valuesIn(logRows, config.log),
    ...valuesIn(tracingRows, config.tracing),
    ...valuesIn(statementRows, config.statements),
    ...valuesIn(statementLogRows, config.statements),
  };
}

function fieldsOf<Table extends Rows>(rows: Table, values: ValuesIn<Table>): FieldsOf<Table> {
  const fields: Record<string, unknown> = {};
  for (const [key, { field }] of Object.entries(rows)) if (field !== undefined) fields[field] = values[key];
  // Each row has given its field a value of its type: that is what FieldsOf says.
  return fields as FieldsOf<Table>;
}

function valuesIn<Table extends Rows>(rows: Table, fields: FieldsOf<Table>): ValuesIn<Table> {
  const byName: Readonly<Record<string, unknown>> = fields;
  const entries = Object.entries(rows).map(([key, row]) => [
    key,
    row.field === undefined ? row.default : byName[row.field],
  ]);
  return Object.fromEntries(entries) as ValuesIn<Table>;
}

export function defaultValues(): SettingValues {
  return Object.fromEntries(settingKeys.map((key) => [key, settingOf(key).default])) as SettingValues;
}

export function withValue(values: SettingValues, key: SettingKey, value: unknown): SettingValues {
  return { ...values, [key]: value };
}
