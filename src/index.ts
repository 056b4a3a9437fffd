/**
 * What the package exports: `import { startWeir } from 'weir'`. The command line begins in main.ts. See docs/embedding.md.
 */
export { startWeir } from './embed/start.ts';
export { WeirConfigError } from './embed/types.ts';
export type {
  Address,
  DatabaseSettings,
  LogLine,
  Login,
  NodeSettings,
  Reloaded,
  StartOptions,
  Weir,
  WeirSettings,
} from './embed/types.ts';
