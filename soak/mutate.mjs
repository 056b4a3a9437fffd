// Starts Weir with a rule taken out: `node --import .../mutate.mjs bin/weir.js serve ...` with WEIR_MUTANT='[{file, from, to}]'.
// The text of the build is changed while it is loaded; what is on the disk stays as it is. Tests only: mutants.ts.
import { register } from 'node:module';

register('./mutate-hooks.mjs', import.meta.url, { data: JSON.parse(process.env.WEIR_MUTANT ?? '[]') });
