/**
 * Every error that Weir itself sends, in one table: SQLSTATE, severity, log level, text. The rows are in
 * error-table-login.ts and error-table-session.ts. Used by errors.ts; printed as docs/errors.md. SQLSTATEs: PostgreSQL
 * manual, appendix A.
 */
import type { ErrorRow } from './error-row.ts';
import { loginErrors } from './error-table-login.ts';
import { sessionErrors } from './error-table-session.ts';

const table = { ...loginErrors, ...sessionErrors };

export type ErrorName = keyof typeof table;

export const errorTable: Readonly<Record<ErrorName, ErrorRow>> = table;
