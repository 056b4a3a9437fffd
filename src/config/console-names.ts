/**
 * Names of databases that mean the admin console. Called by databases.ts and checks.ts.
 */

export const consoleNames: readonly string[] = ['weir', 'pgbouncer'];
