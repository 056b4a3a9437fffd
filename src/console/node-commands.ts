/**
 * NODE ADD and NODE REMOVE: replicas that come and go while Weir runs. Part of the table in commands.ts.
 */
import type { AddedNode } from '../config/node-changes.ts';
import { readName, shorten, syntaxError, type Scanner } from './parse.ts';
import type { ConsoleCommand, Run } from './types.ts';

function command(name: string, args: string, help: string, parse: (scanner: Scanner) => Run): ConsoleCommand {
  return { name, role: 'admin', syntax: `${name} ${args}`, help, columns: [], tag: name, parse };
}

function readText(scanner: Scanner, what: string): string {
  const { kind, text } = scanner.next();
  if (kind === 'end' || kind === 'symbol') throw syntaxError(`missing ${what}`);
  return text;
}

function readNode(scanner: Scanner): AddedNode {
  const database = readName(scanner, 'database');
  const url = readText(scanner, "URL of the node: write NODE ADD db 'postgres://host:5432'");
  let [name, zone, weight]: [string?, string?, number?] = [];
  while (!scanner.isAtEnd()) {
    if (scanner.takeKeyword('NAME')) name = readText(scanner, 'name after NAME');
    else if (scanner.takeKeyword('ZONE')) zone = readText(scanner, 'zone after ZONE');
    else if (scanner.takeKeyword('WEIGHT')) weight = Number(readText(scanner, 'number after WEIGHT'));
    else throw syntaxError(`NODE ADD takes NAME, ZONE and WEIGHT, not "${shorten(scanner.peek().text)}"`);
  }
  return { database, url, name, zone, weight };
}

export const nodeCommands: readonly ConsoleCommand[] = [
  command('NODE ADD', "db 'url' [WEIGHT n] [ZONE z] [NAME n]", 'a replica more, until NODE REMOVE', (scanner) => {
    const asked = readNode(scanner);
    return async ({ sources }) => {
      const node = await sources.tryNode(asked);
      const notices = await sources.changeNodes({ do: 'addNode', node });
      return { notices: [`${node.name} takes reads as soon as it has caught up: SHOW NODES`, ...notices] };
    };
  }),
  command('NODE REMOVE', 'db node', 'a replica less: what runs there ends first', (scanner) => {
    const database = readName(scanner, 'database');
    const node = readName(scanner, 'node');
    return async ({ sources }) => ({ notices: await sources.changeNodes({ do: 'removeNode', database, node }) });
  }),
];
