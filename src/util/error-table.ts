/**
 * Every error that Weir itself says, in one table: SQLSTATE, severity, log level, text. The rows stand in
 * error-table-login.ts and error-table-session.ts. Said by errors.ts; printed as docs/errors.md. SQLSTATEs: PostgreSQL
 * manual, appendix A.
 */
import type { ErrorRow } from './error-row.ts';
import { loginErrors } from './error-table-login.ts';
import { sessionErrors } from './error-table-session.ts';

const table = { ...loginErrors, ...sessionErrors };

export type ErrorName = keyof typeof table;

export const errorTable: Readonly<Record<ErrorName, ErrorRow>> = table;
