/**
 * The configuration and users in force, which a reload replaces. Made by app.ts, written by reload.ts only. Types only.
 */
import type { Config } from '../config/config.ts';

export interface Current {
  config: Config;
  /** Secrets by user name. A reload changes this map in place, so other objects may keep a reference to it. */
  readonly users: Map<string, string>;
}
