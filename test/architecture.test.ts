/**
 * The house rules that a machine can check: imports only go down, one package has one door, files stay small and say
 * what they are for, modules hold no state. The picture behind the tables is docs/architecture.md.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

/** What each room may import besides itself, errors/ and util/. */
const rooms: Readonly<Record<string, readonly string[]>> = {
  util: [],
  errors: [],
  balancing: [],
  budgets: [],
  config: ['balancing', 'auth', 'limits', 'budgets'],
  protocol: [],
  sql: [],
  catalog: [],
  topology: ['catalog'],
  net: ['protocol'],
  auth: ['protocol'],
  cache: ['protocol', 'sql'],
  binding: ['sql', 'catalog'],
  routing: ['topology', 'balancing'],
  limits: ['auth', 'cache'],
  frontend: ['net', 'protocol', 'auth'],
  backend: ['net', 'protocol', 'auth'],
  decoding: ['backend', 'protocol'],
  pool: ['backend'],
  statements: [],
  tracing: ['statements'],
  session: ['net', 'protocol', 'sql', 'binding', 'routing', 'topology', 'cache', 'pool', 'backend'],
  request: [
    ...['session', 'net', 'protocol', 'sql', 'binding', 'routing', 'topology', 'cache', 'pool', 'backend'],
    'statements',
  ],
  sizing: ['pool', 'topology'],
  shares: ['sizing', 'cache'],
  console: ['protocol', 'pool', 'cache', 'topology', 'session', 'config', 'memory', 'budgets', 'statements'],
  observability: [],
  memory: [],
  forecast: [],
  systemd: [],
  workers: [
    'frontend',
    'limits',
    'cache',
    'pool',
    'sizing',
    'shares',
    'console',
    'topology',
    'config',
    'observability',
    'systemd',
    'memory',
  ],
};

/** These put the others together and may import whatever they compose. */
const roofs = ['app.ts', 'main.ts', 'index.ts', 'app', 'cli', 'embed'];

/** Files of types: `import type` from anywhere. What is counted may be named there, too, for observability. */
const contracts = /^(errors\/errors|config\/config|\w+\/([\w-]+-)?types|binding\/plan|sql\/facts)\.ts$/;

/** Swapping a package costs the rooms behind its door and no other. */
const doors: Readonly<Record<string, readonly string[]>> = {
  'pg-protocol': ['protocol'],
  'libpg-query': ['sql'],
  // A byte-limited map is the same thing wherever it is used; see docs/adr.
  'lru-cache': ['cache', 'sql', 'routing'],
  'generic-pool': ['topology'],
  pg: ['topology', 'cli'],
  pino: ['observability'],
  'pino-pretty': ['observability'],
  'prom-client': ['observability'],
  yaml: ['config'],
  'get-east-asian-width': ['cli'],
  '@opentelemetry/api': ['tracing'],
  '@opentelemetry/resources': ['tracing'],
  '@opentelemetry/sdk-trace-base': ['tracing'],
  '@opentelemetry/exporter-trace-otlp-http': ['tracing'],
};

/** Rooms that decide and never act: no socket, file, process or timer. */
const pureRooms = ['protocol', 'sql', 'catalog', 'binding', 'balancing', 'routing', 'sizing', 'budgets'];
const pureBuiltins = ['node:buffer', 'node:crypto', 'node:util'];

const MAX_LINES = 300;
const MAX_FUNCTION_LINES = 50;
const MAX_HEADER_LINES = 6;
const MAX_FIELDS = 15;
const MAX_BOOLEANS = 4;

const src = fileURLToPath(new URL('../src', import.meta.url));
const integration = fileURLToPath(new URL('../integration', import.meta.url));
const harness = join(integration, 'harness');

interface Import {
  readonly isType: boolean;
  readonly target: string;
}

interface Source {
  /** Relative to src, with slashes. */
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

function importsOf(text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  const from = /^(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'/gm;
  const bare = /(?:^import\s+|\bimport\()'([^']+)'/gm;
  return [
    ...[...code.matchAll(from)].map((match) => ({ isType: match[1] !== undefined, target: match[2] ?? '' })),
    ...[...code.matchAll(bare)].map((match) => ({ isType: false, target: match[1] ?? '' })),
  ];
}

function sourcesBelow(dir: string): Source[] {
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return names.sort().map((name) => {
    const path = normalize(name).replaceAll('\\', '/');
    const text = readFileSync(join(dir, name), 'utf8');
    return { path, room: path.split('/')[0] ?? path, text, imports: importsOf(text) };
  });
}

const sources = sourcesBelow(src);
const isRoof = (room: string): boolean => roofs.includes(room);
const isPackage = (target: string): boolean => !target.startsWith('.') && !target.startsWith('node:');

/** "pg/lib/x" -> "pg", "@scope/name/x" -> "@scope/name". */
const packageOf = (target: string): string =>
  target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');

/** The imported file, relative to src. */
function pathOf(source: Source, { target }: Import): string {
  return relative(src, join(src, dirname(source.path), target)).replaceAll('\\', '/');
}

function mayImport(source: Source, entry: Import): boolean {
  const { isType } = entry;
  const path = pathOf(source, entry);
  const room = path.split('/')[0] ?? path;
  if (isRoof(source.room) || room === source.room || room === 'errors' || room === 'util') return true;
  if (contracts.test(path) && (isType || source.room === 'observability')) return true;
  return rooms[source.room]?.includes(room) ?? false;
}

interface Func {
  readonly name: string;
  readonly lines: number;
}

/** Every function and method with a body, by the name that it or its variable has. */
function functionsOf({ path, text }: Source): Func[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const lineAt = (position: number): number => file.getLineAndCharacterOfPosition(position).line;
  const found: Func[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const { parent } = node;
      const named = node.name ?? ('name' in parent ? (parent.name as ts.Node | undefined) : undefined);
      const name = ts.isConstructorDeclaration(node)
        ? 'constructor'
        : (named?.getText(file) ?? 'a function without a name');
      found.push({ name, lines: lineAt(node.end) - lineAt(node.getStart(file)) + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

interface Class {
  readonly name: string;
  readonly fields: number;
  readonly booleans: number;
}

/** Every class, with the number of its fields and of those that are booleans by their type or by their first value. */
function classesOf({ path, text }: Source): Class[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const isBoolean = ({ type, initializer }: ts.PropertyDeclaration): boolean =>
    type === undefined
      ? initializer?.kind === ts.SyntaxKind.TrueKeyword || initializer?.kind === ts.SyntaxKind.FalseKeyword
      : type.kind === ts.SyntaxKind.BooleanKeyword;
  const found: Class[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isClassLike(node)) {
      const fields = node.members.filter((member) => ts.isPropertyDeclaration(member));
      const name = node.name?.text ?? 'a class without a name';
      found.push({ name, fields: fields.length, booleans: fields.filter(isBoolean).length });
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** The page of the dashboard is a text in a module, not the module itself. */
function withoutTemplates(text: string): string {
  return text.replace(/`(?:\\.|[^`\\])*`/g, '');
}

/** Lines of text in the comment that a file opens with; undefined when it opens with something else. */
function headerLines(text: string): number | undefined {
  const block = /^(?:#!.*\n)?\/\*\*?([\s\S]*?)\*\//.exec(text);
  const lines = block?.[1]?.split('\n') ?? /^(?:#!.*\n)?((?:\/\/.*\n)+)/.exec(text)?.[1]?.split('\n');
  return lines?.filter((line) => line.replace(/^[\s*/]+/, '') !== '').length;
}

test('every form of import is seen, and comments are not', () => {
  const text = [
    "import './a.ts';",
    "import b, { type B } from 'b';",
    "import type { C } from './c.ts';",
    "import {\n  d,\n} from './d.ts';",
    "export { e } from './e.ts';",
    "const f = await import('f/deep');",
    "// import './no.ts';",
    "/* import 'no' */",
  ];
  const seen = importsOf(text.join('\n')).map(({ isType, target }) => (isType ? 'type ' : '') + target);
  expect(seen.sort()).toEqual(['./a.ts', './d.ts', './e.ts', 'b', 'f/deep', 'type ./c.ts']);
});

test('the rooms of the table are the rooms of src', () => {
  const found = [...new Set(sources.map((source) => source.room))].filter((room) => !isRoof(room));
  expect(found.filter((room) => !(room in rooms))).toEqual([]);
});

test('imports only go down: no room reaches itself over others', () => {
  const below = (room: string, seen: readonly string[]): string[] =>
    (rooms[room] ?? []).flatMap((next) =>
      seen.includes(next) ? [[...seen, next].join(' -> ')] : below(next, [...seen, next]),
    );
  expect(Object.keys(rooms).flatMap((room) => below(room, [room]))).toEqual([]);
});

/** Groups of files of which each imports the others, directly or over others (Tarjan's strongly connected components). */
function circlesOf(files: readonly Source[]): string[][] {
  const imports = new Map(files.map((source) => [source.path, source.imports.map((entry) => pathOf(source, entry))]));
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (path: string): void => {
    order.set(path, order.size);
    lowest.set(path, order.size - 1);
    stack.push(path);
    for (const next of imports.get(path) ?? []) {
      if (!imports.has(next)) continue;
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) lowest.set(path, Math.min(lowest.get(path)!, lowest.get(next)!));
    }
    if (lowest.get(path) !== order.get(path)) return;
    const circle = stack.splice(stack.indexOf(path)).sort();
    if (circle.length > 1) circles.push(circle);
  };
  for (const path of imports.keys()) if (!order.has(path)) visit(path);
  return circles;
}

test('a circle of imports is found', () => {
  const file = (path: string, ...targets: string[]): Source => {
    const imports = targets.map((target) => ({ isType: true, target }));
    return { path, room: 'a', text: '', imports };
  };
  const files = [file('a/one.ts', './two.ts'), file('a/two.ts', '../b/three.ts'), file('b/three.ts', '../a/one.ts')];
  expect(circlesOf([...files, file('a/four.ts', './one.ts')])).toEqual([['a/one.ts', 'a/two.ts', 'b/three.ts']]);
});

test('no files import each other in a circle, types included', () => {
  expect(circlesOf(sources)).toEqual([]);
});

test('a room imports only the rooms that it may', () => {
  const wrong = sources.flatMap((source) =>
    source.imports
      .filter((entry) => entry.target.startsWith('.') && !mayImport(source, entry))
      .map((entry) => `${source.path} imports ${entry.isType ? 'type ' : ''}${entry.target}`),
  );
  expect(wrong).toEqual([]);
});

test('a package comes in through its own door', () => {
  const wrong = sources.flatMap((source) =>
    source.imports
      .filter(({ target }) => isPackage(target) && !(doors[packageOf(target)] ?? []).includes(source.room))
      .map(({ target }) => `${source.path} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test("Node's own modules are imported by their full name, and pure rooms touch nothing outside", () => {
  const wrong = sources.flatMap((source) =>
    source.imports
      .filter(({ target, isType }) => {
        if (builtinModules.includes(target)) return true;
        return (
          target.startsWith('node:') && !isType && pureRooms.includes(source.room) && !pureBuiltins.includes(target)
        );
      })
      .map(({ target }) => `${source.path} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test('modules hold no state: everything is made by a factory or a class', () => {
  const wrong = sources.filter(({ text }) => /^(?:export )?(?:let|var) /m.test(withoutTemplates(text)));
  expect(wrong.map(({ path }) => path)).toEqual([]);
});

test(`functions have at most ${MAX_FUNCTION_LINES} lines`, () => {
  const long = sources.flatMap((source) =>
    functionsOf(source)
      .filter(({ lines }) => lines > MAX_FUNCTION_LINES)
      .map(({ name }) => `${source.path} ${name}`),
  );
  expect(long).toEqual([]);
});

test('functions of every form are measured', () => {
  const text = [
    'function a() {\n  return 1;\n}',
    'const b = () => {\n  return () => 1;\n};',
    'class C {\n  constructor() {}\n  get d() {\n    return 1;\n  }\n  #e() {}\n}',
    'const f = { g() {\n  return 1;\n} };',
    'declare function h(): void;',
  ].join('\n');
  const seen = functionsOf({ path: 'x.ts', room: '', text, imports: [] }).map(({ name, lines }) => `${name} ${lines}`);
  expect(seen).toEqual(['a 3', 'b 3', 'a function without a name 1', 'constructor 1', 'd 3', '#e 1', 'g 3']);
});

test('fields and booleans of every class are counted', () => {
  const text = [
    "class A {\n  a = true;\n  #b = false;\n  readonly c: boolean;\n  d: boolean | undefined;\n  e = '';\n  get f() {\n    return 1;\n  }\n}",
    'const b = class {};',
  ].join('\n');
  const seen = classesOf({ path: 'x.ts', room: '', text, imports: [] });
  expect(seen).toEqual([
    { name: 'A', fields: 5, booleans: 3 },
    { name: 'a class without a name', fields: 0, booleans: 0 },
  ]);
});

test(`classes have at most ${MAX_FIELDS} fields and ${MAX_BOOLEANS} booleans, but for a list that only gets shorter`, () => {
  const large = sources.flatMap((source) =>
    classesOf(source)
      .filter(({ fields, booleans }) => fields > MAX_FIELDS || booleans > MAX_BOOLEANS)
      .map(({ name }) => `${source.path} ${name}`),
  );
  expect(large).toEqual([]);
});

describe.each([
  ['src', sources],
  ['integration/harness', sourcesBelow(harness)],
] as const)('%s', (name, files) => {
  test(`files have at most ${MAX_LINES} lines`, () => {
    const long = files.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
    expect(long.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
  });

  test(`files open with a comment of at most ${MAX_HEADER_LINES} lines that says what they are for`, () => {
    const wrong = files.filter(({ text }) => {
      const lines = headerLines(text);
      return lines === undefined || lines > MAX_HEADER_LINES;
    });
    expect(wrong.map(({ path }) => `${name}/${path}`)).toEqual([]);
  });
});

test('test files open with a comment that says what they prove', () => {
  const files = [...sourcesBelow(fileURLToPath(new URL('.', import.meta.url))), ...sourcesBelow(integration)];
  const tests = files.filter(({ path }) => path.endsWith('.test.ts'));
  expect(tests.length).toBeGreaterThan(150);
  expect(tests.filter(({ text }) => headerLines(text) === undefined).map(({ path }) => path)).toEqual([]);
});
