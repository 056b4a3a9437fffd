/**
 * A configuration of defaults only, without databases. Tests that write a section by hand spread the section of this one
 * first, so that a new setting does not concern them.
 */
import { assemble, defaultValues } from '../../src/config/assemble.ts';

export const defaults = assemble(defaultValues(), { databases: new Map(), users: new Map() });
