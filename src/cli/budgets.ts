/**
 * `weir budgets`: what SHOW BUDGETS shows; with --rules, alert rules for Prometheus from the budgets of a configuration file,
 * without a running Weir. Called by run.ts.
 */
import { objectivesOf } from '../budgets/objectives.ts';
import { alertRules } from '../budgets/rules.ts';
import { loadConfig } from '../config/load.ts';
import type { CliIo, ExitCode } from './io.ts';
import { CommandError, UsageError, exitCodes } from './io.ts';
import { type Arguments, type Verb, positionals, textOf } from './arguments.ts';

/** @param show the form that asks a running Weir */
export function budgetsVerb(show: Verb): Verb {
  return {
    synopsis: '[--json | --wide | --all] | --rules --config FILE',
    about: `${show.about} With --rules, prints alert rules for Prometheus made from a configuration.`,
    options: {
      rules: { type: 'boolean', about: 'Print alert rules for Prometheus instead.' },
      config: { type: 'string', short: 'c', value: 'FILE', about: 'For --rules: the configuration with the budgets.' },
      ...show.options,
    },
    async run(args, io) {
      const file = textOf(args, 'config');
      if (args.values['rules'] === true) return printRules(args, io, file);
      if (file !== undefined) throw new UsageError('--config is for --rules; a running Weir is found by --url');
      return show.run(args, io);
    },
  };
}

function printRules(args: Arguments, io: CliIo, file: string | undefined): ExitCode {
  positionals(args, 0, 0, '');
  if (file === undefined) throw new UsageError('--rules needs --config FILE');
  const result = loadConfig({ file, env: io.env });
  for (const warning of result.warnings) io.err(`warning: ${warning}\n`);
  if ('problems' in result) throw new CommandError(result.problems);
  const databases = Array.from(result.config.databases.values(), ({ name, pool }) => ({
    database: name,
    objectives: objectivesOf(pool.budgets),
  }));
  const rules = alertRules(databases);
  if (rules === undefined) throw new CommandError([`${file}: there are no budgets: see docs/budgets.md`]);
  io.out(rules);
  return exitCodes.done;
}
