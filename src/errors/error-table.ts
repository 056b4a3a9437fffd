/**
 * Every error that Weir itself sends, in one table: SQLSTATE, severity, log level, text. The rows are in
 * login-errors.ts and session-errors.ts. Used by errors/errors.ts; printed as docs/errors.md. SQLSTATEs: PostgreSQL
 * manual, appendix A.
 */
import type { ErrorRow } from './error-row.ts';
import { loginErrors } from './login-errors.ts';
import { sessionErrors } from './session-errors.ts';

const table = { ...loginErrors, ...sessionErrors };

export type ErrorName = keyof typeof table;

export const errorTable: Readonly<Record<ErrorName, ErrorRow>> = table;
